/** Redis that does not answer, connections that break, and a Redis that has forgotten everything. */
import type { Drill } from './drill.ts';
import { singleEngine } from './engines.ts';
import { onStage, type Stage } from './stage.ts';
import { delay } from './wait.ts';

const PAUSE_MS = 5000;
const STOP_MS = 10_000;
const CONNECTION_ROUNDS = 5;
const STANDSTILL_MS = 300;

const clientPause: Drill = {
  name: 'client-pause',
  about: 'CLIENT PAUSE of 5 s',
  run: async (context) =>
    onStage(context, await singleEngine('none'), { name: 'client-pause', seconds: 6 }, async (stage) => {
      await stage.untilConfirmed(0.4);
      await stage.faults.place('CLIENT PAUSE 5 s', async () => {
        await stage.inspector.command('CLIENT', 'PAUSE', PAUSE_MS, 'ALL');
        await delay(PAUSE_MS);
      });
      return stage.finish();
    }),
};

const redisStop: Drill = {
  name: 'redis-stop',
  about: 'SIGSTOP of redis-server for 10 s: connections stay open and nothing answers',
  run: async (context) => {
    const engine = await singleEngine('none');
    return onStage(context, engine, { name: 'redis-stop', seconds: 6 }, async (stage) => {
      await stage.untilConfirmed(0.4);
      await stage.faults.place('SIGSTOP 10 s', async () => {
        engine.server.pause();
        try {
          await delay(STOP_MS);
        } finally {
          engine.server.resume();
        }
      });
      return stage.finish();
    });
  },
};

/** Each connection of the role, by its id: the drill's own stays. */
async function killConnections(stage: Stage, role: string): Promise<number> {
  const ids = await stage.inspector.connections(role);
  let killed = 0;
  for (const id of ids) killed += Number(await stage.inspector.command('CLIENT', 'KILL', 'ID', id));
  return killed;
}

const clientKill: Drill = {
  name: 'client-kill',
  about: 'CLIENT KILL of every connection of the publisher, then of the readers, then of all, five rounds',
  run: async (context) =>
    onStage(context, await singleEngine('none'), { name: 'client-kill', seconds: 6 }, async (stage) => {
      const roles = ['publisher', 'reader', 'esper'];
      let killed = 0;
      for (let round = 0; round < CONNECTION_ROUNDS * roles.length; round++) {
        await stage.untilConfirmed((round + 1) / (CONNECTION_ROUNDS * roles.length + 2));
        const role = roles[round % roles.length] ?? 'esper';
        await stage.faults.place(`CLIENT KILL of ${role}`, async () => {
          const count = await killConnections(stage, role);
          if (count === 0) stage.problems.push(`CLIENT KILL of ${role} found no connection`);
          killed += count;
        });
      }
      return stage.finish({ notes: [`connections killed ${killed}`] });
    }),
};

/** The consumers stand still for a moment before it, or there would be nothing unread to wipe. */
async function flushBacklog(stage: Stage, wiped: Set<string>): Promise<void> {
  const { members } = stage.fleet;
  for (const { child } of members) child.signal('SIGSTOP');
  try {
    await delay(STANDSTILL_MS);
    for (const id of await stage.inspector.flushAll()) wiped.add(id);
  } finally {
    for (const { child } of members) child.signal('SIGCONT');
  }
}

const flushAll: Drill = {
  name: 'flushall',
  about:
    'FLUSHALL twice: groups heal at 0, all published later is delivered; what was wiped is known and sent again',
  run: async (context) =>
    onStage(context, await singleEngine('none'), { name: 'flushall', seconds: 6 }, async (stage) => {
      const wiped = new Set<string>();
      for (const part of [0.3, 0.6]) {
        await stage.untilConfirmed(part);
        await stage.faults.place('FLUSHALL', () => flushBacklog(stage, wiped));
      }
      // All but what was wiped unhandled must come without anybody's help.
      stage.declareGone(wiped);
      await stage.drain();
      const resent = await stage.resendGone();
      return stage.finish({ notes: [`wiped unhandled and sent again ${resent}`] });
    }),
};

export const outageDrills: readonly Drill[] = [clientKill, clientPause, redisStop, flushAll];
