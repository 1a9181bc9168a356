/** What befalls consumers besides kill -9: a poison message, clocks that step, SIGTERM. */
import type { Drill } from './drill.ts';
import { singleEngine } from './engines.ts';
import type { Member } from './fleet.ts';
import { holder } from './kills.ts';
import { onStage, type Stage, type StageOptions } from './stage.ts';
import { delay, nowMs, poll } from './wait.ts';

const POISON_DELIVERIES = 5;
const STEP_MS = 10_000;
const SIGTERMS = 6;

/** The id of the entry that carries this event; its publisher hears of it a moment after its consumer. */
function entryOf(stage: Stage, eventId: string): Promise<string> {
  return poll(`${eventId} to be stored`, { timeoutMs: 15_000 }, () =>
    stage.accounts.update().entryOf(eventId),
  );
}

/** Replaces whoever falls, until told to stop; every other one comes back under its name. */
async function replaceFallen(stage: Stage, poisoned: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    for (const { child, consumer } of stage.fleet.takeFallen()) {
      const endedMs = nowMs();
      const end = await child.ended;
      const inHand = await stage.inspector.pending(consumer);
      const what = `exit ${end.code} of consumer ${consumer}`;
      stage.log(`${what}: ${inHand.length} entries in hand`);
      const poisonEntry = await entryOf(stage, poisoned);
      const entryIds = inHand.filter((id) => id !== poisonEntry);
      stage.faults.record({ what, inFlight: inHand.length, endedMs, entryIds });
      await stage.fleet.join(stage.faults.count % 2 === 0 ? { consumer } : {});
    }
    await delay(10);
  }
}

const poison: Drill = {
  name: 'poison',
  about: 'a message whose handler exits the process: dead-lettered after maxDeliveries, all others handled',
  run: async (context) => {
    const bad = `e-${Math.floor(context.messages / 3)}`;
    const settings = { maxDeliveries: POISON_DELIVERIES };
    const options = { name: 'poison', seconds: 8, poison: bad, settings };
    return onStage(context, await singleEngine('none'), options, async (stage) => {
      const over = new AbortController();
      const replacing = replaceFallen(stage, bad, over.signal);
      try {
        await stage.drain();
      } finally {
        over.abort();
        await replacing;
      }
      const [letter] = await stage.inspector.deadLetters();
      if (letter?.eventId !== bad) stage.problems.push(`the dead letter is ${letter?.eventId}, not ${bad}`);
      const exits = stage.faults.count;
      if (exits !== POISON_DELIVERIES) {
        stage.problems.push(`the poison ended ${exits} processes, not maxDeliveries = ${POISON_DELIVERIES}`);
      }
      const notes = [`processes ended by the poison ${exits}`, `reason ${letter?.reason}`];
      return stage.finish({ deadLetters: 1, notes });
    });
  },
};

const clockSteps: Drill = {
  name: 'clock-steps',
  about: "steps of ±10 s of the wall clock of publisher and consumers (the bus's injected clock)",
  run: async (context) =>
    onStage(context, await singleEngine('none'), { name: 'clock-steps', seconds: 6 }, async (stage) => {
      // Against each other, so that sender and receiver are up to 20 s apart; maxFutureSkewMs is 30 s.
      const steps = [STEP_MS, -STEP_MS, -STEP_MS, STEP_MS];
      for (const [at, ms] of steps.entries()) {
        await stage.untilConfirmed((at + 1) / (steps.length + 1));
        await stage.faults.place(`consumers ${ms} ms, publisher ${-ms} ms`, async () => {
          await Promise.all(stage.fleet.members.map(({ child }) => child.call('step', ms)));
          await stage.publisher.call('step', -ms);
        });
      }
      return stage.finish({ notes: ['stepped in the processes, not in the kernel'] });
    }),
};

/** Handlers that are quick hold something for moments only. */
async function busyMember(stage: Stage): Promise<{ member: Member; inFlight: number }> {
  for (;;) {
    const member = await holder(stage);
    const inFlight = (await stage.inspector.pending(member.consumer)).length;
    if (inFlight > 0) return { member, inFlight };
  }
}

async function endOneByOne(stage: Stage): Promise<string> {
  let longestMs = 0;
  let handedOver = 0;
  for (let round = 1; round <= SIGTERMS; round++) {
    await stage.untilConfirmed(round / (SIGTERMS + 2));
    await stage.fleet.join();
    const { member, inFlight } = await busyMember(stage);
    const startedMs = nowMs();
    const stats = await stage.fleet.dismiss(member);
    const endedMs = nowMs();
    longestMs = Math.max(longestMs, endedMs - startedMs);
    handedOver += stats?.pending ?? 0;
    stage.faults.record({ what: 'SIGTERM', inFlight, endedMs });
  }
  return `longest drain ${Math.round(longestMs)} ms, left to others ${handedOver}`;
}

function endings(name: string, about: string, options: Partial<StageOptions>): Drill {
  return {
    name,
    about,
    run: async (context) =>
      onStage(context, await singleEngine('none'), { ...options, name, seconds: 8 }, async (stage) => {
        const row = await stage.finish({ notes: [await endOneByOne(stage)] });
        if (row.duplicates === 0) return row;
        return { ...row, problems: [...row.problems, `${row.duplicates} duplicates after clean ends`] };
      }),
  };
}

const sigterm = endings(
  'sigterm',
  'SIGTERM of consumers under load: what is in hand is finished, the rest is handed over, nothing comes twice',
  {},
);

const sigtermSync = endings(
  'sigterm-sync',
  'the same with handlers that return no promise and fail now and then, and with HIGH messages among the others',
  { sync: true, failEvery: 20, highEvery: 10 },
);

export const consumerDrills: readonly Drill[] = [poison, clockSteps, sigterm, sigtermSync];
