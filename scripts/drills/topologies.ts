/** Sentinel and Cluster: the primary changes, or the stream moves, while messages are under way. */
import { STREAM } from './bus.ts';
import type { Drill } from './drill.ts';
import { clusterEngine, sentinelEngine } from './engines.ts';
import { onStage, type Stage } from './stage.ts';
import { delay, poll } from './wait.ts';

const MOVES = 3;
/** How long the slot stays split between two nodes before its keys move, milliseconds. */
const SPLIT_MS = 100;

const sentinelFailover: Drill = {
  name: 'sentinel-failover',
  about: 'Sentinel: kill -9 of the primary, which comes back as a replica; then a failover by command',
  run: async (context) => {
    const engine = await sentinelEngine();
    return onStage(context, engine, { name: 'sentinel-failover', seconds: 10 }, async (stage) => {
      await stage.untilConfirmed(0.3);
      await stage.faults.place('kill -9 of the primary', async () => {
        const former = await engine.setup.primary();
        await engine.setup.failover('kill');
        await former.restart();
      });
      stage.faults.redisKills += 1;
      await stage.untilConfirmed(0.7);
      await stage.faults.place('SENTINEL FAILOVER', () => engine.setup.failover('command'));
      return stage.finish({ replays: true });
    });
  },
};

const clusterReshard: Drill = {
  name: 'cluster-reshard',
  about: 'Cluster: the slot of the stream moves from node to node three times',
  run: async (context) => {
    const engine = await clusterEngine(false);
    return onStage(context, engine, { name: 'cluster-reshard', seconds: 8 }, async (stage) => {
      const slot = await engine.setup.slotOf(STREAM);
      for (let move = 1; move <= MOVES; move++) {
        await stage.untilConfirmed(move / (MOVES + 1));
        await stage.faults.place(`slot ${slot} moves`, async () => {
          const to = await engine.setup.otherThan(STREAM);
          await engine.setup.moveSlot(slot, to, () => delay(SPLIT_MS));
        });
      }
      return stage.finish();
    });
  },
};

async function killOwner(stage: Stage, { setup }: Awaited<ReturnType<typeof clusterEngine>>): Promise<void> {
  const former = await setup.ownerOf(STREAM);
  await stage.faults.place('kill -9 of the node that has the stream', async () => {
    await former.server.kill();
    await poll('the replica to take over', { timeoutMs: 30_000, everyMs: 50 }, async () => {
      return (await setup.ownerOf(STREAM)) !== former;
    });
    await former.server.restart();
  });
  stage.faults.redisKills += 1;
}

const clusterNodeKill: Drill = {
  name: 'cluster-node-kill',
  about:
    'Cluster: kill -9 of the node that has the stream; its replica takes over, and it comes back as a replica',
  run: async (context) => {
    const engine = await clusterEngine(true);
    return onStage(context, engine, { name: 'cluster-node-kill', seconds: 8 }, async (stage) => {
      await stage.untilConfirmed(0.4);
      await killOwner(stage, engine);
      return stage.finish({ replays: true });
    });
  },
};

export const topologyDrills: readonly Drill[] = [sentinelFailover, clusterReshard, clusterNodeKill];
