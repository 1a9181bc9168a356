/** kill -9 of consumers, and of redis-server. */
import type { DrillChild } from './child.ts';
import type { Drill, DrillContext, Row } from './drill.ts';
import { type SingleEngine, singleEngine } from './engines.ts';
import type { Member } from './fleet.ts';
import { onStage, type Stage } from './stage.ts';
import { delay, nowMs, poll } from './wait.ts';

/** Of a full run; a short one has fewer, one per so many messages. */
const CONSUMER_KILLS = 21;
const MESSAGES_PER_KILL = 950;
const REDIS_KILLS = 5;
const MESSAGES_PER_REDIS_KILL = 4000;

const upTo = (most: number, messages: number, each: number): number =>
  Math.max(1, Math.min(most, Math.floor(messages / each)));

/** Waits until one member has entries in hand. */
export function holder(stage: Stage): Promise<Member> {
  return poll('a consumer with entries in hand', { timeoutMs: 15_000, everyMs: 1 }, async () => {
    const at = Math.floor(Math.random() * stage.fleet.members.length);
    const member = stage.fleet.members[at];
    if (member === undefined) return undefined;
    return (await stage.inspector.pending(member.consumer)).length > 0 ? member : undefined;
  });
}

/** Counts only when the dead one left entries pending: then it was killed in the middle of a batch. */
async function killOne(stage: Stage, keepName: boolean, spare: DrillChild): Promise<void> {
  await spare.loaded();
  const victim = await holder(stage);
  await stage.fleet.kill(victim);
  const endedMs = nowMs();
  const entryIds = await stage.inspector.pending(victim.consumer);
  if (entryIds.length > 0) {
    const what = `kill -9 of consumer ${victim.consumer}`;
    stage.log(`${what}: ${entryIds.length} entries in hand`);
    stage.faults.consumerKills += 1;
    stage.faults.record({ what, inFlight: entryIds.length, endedMs, entryIds });
  }
  await stage.fleet.join(keepName ? { consumer: victim.consumer } : {}, spare);
}

const consumerKill: Drill = {
  name: 'consumer-kill',
  about: 'kill -9 of consumers in the middle of their batches; every other one comes back under its name',
  run: async (context: DrillContext): Promise<Row> => {
    const kills = upTo(CONSUMER_KILLS, context.messages, MESSAGES_PER_KILL);
    const options = { name: 'consumer-kill', consumers: 4, seconds: 2 + kills * 0.6 };
    return onStage(context, await singleEngine('none'), options, async (stage) => {
      let spare = stage.fleet.spare();
      for (let tries = 0; stage.faults.consumerKills < kills && tries < kills * 3; tries++) {
        await stage.untilConfirmed(Math.min(0.95, (tries + 1) / (kills + 1)));
        const next = stage.fleet.spare();
        await killOne(stage, tries % 2 === 1, spare);
        spare = next;
      }
      await spare.kill();
      if (stage.faults.consumerKills < kills)
        stage.problems.push(`only ${stage.faults.consumerKills} kills hit`);
      return stage.finish();
    });
  },
};

async function killServer(stage: Stage, { server }: SingleEngine): Promise<void> {
  await stage.faults.place('kill -9 of redis-server', async () => {
    await server.kill();
    await delay(200);
    await server.restart();
  });
  stage.faults.redisKills += 1;
}

const redisKill: Drill = {
  name: 'redis-kill',
  about: 'kill -9 of redis-server, away for 200 ms, started again from its append-only file',
  run: async (context) => {
    const kills = upTo(REDIS_KILLS, context.messages, MESSAGES_PER_REDIS_KILL);
    const engine = await singleEngine('always');
    return onStage(context, engine, { name: 'redis-kill', seconds: 2 + kills * 1.5 }, async (stage) => {
      for (let kill = 1; kill <= kills; kill++) {
        await stage.untilConfirmed(kill / (kills + 1));
        await killServer(stage, engine);
      }
      return stage.finish();
    });
  },
};

const redisRestart: Drill = {
  name: 'redis-restart',
  about: 'restart of redis-server as an operator does it (SIGTERM), three times',
  run: async (context) => {
    const engine = await singleEngine('always');
    return onStage(context, engine, { name: 'redis-restart', seconds: 6 }, async (stage) => {
      for (const part of [0.25, 0.5, 0.75]) {
        await stage.untilConfirmed(part);
        await stage.faults.place('restart of redis-server', () => engine.server.restart());
      }
      return stage.finish();
    });
  },
};

export const killDrills: readonly Drill[] = [consumerKill, redisKill, redisRestart];
