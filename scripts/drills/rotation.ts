/** The secret is rotated under load, as an operator does it: first known everywhere, then used, then alone. */

import { DrillChild } from './child.ts';
import type { Drill } from './drill.ts';
import { singleEngine } from './engines.ts';
import type { Keys, PublisherPlan } from './plan.ts';
import { KEYS, onStage, type Stage } from './stage.ts';
import { poll } from './wait.ts';

const NEXT = 'the secret that comes after it';
const OLD_MESSAGES = 20;
const MISMATCH = 'ESPER_LEYLINE_SIGNATURE_MISMATCH';

/** One consumer after the other is replaced by one with these keys, as a rolling restart does. */
async function roll(stage: Stage, keys: Keys): Promise<void> {
  stage.fleet.plan = { ...stage.fleet.plan, keys };
  const leaving: Promise<unknown>[] = [];
  for (const member of [...stage.fleet.members]) {
    await stage.fleet.join();
    leaving.push(stage.fleet.dismiss(member));
  }
  await Promise.all(leaving);
}

/** Somebody who was forgotten goes on with the old key. */
async function publishWithOldKey(stage: Stage): Promise<void> {
  const straggler = new DrillChild('publisher-process.ts');
  try {
    const ledger = `${stage.directory}/straggler.ledger`;
    stage.accounts.followPublisher(ledger);
    const { target } = stage.engine;
    const pace = { count: OLD_MESSAGES, window: 4, perSecond: 1000 };
    const plan: PublisherPlan = { target, keys: KEYS, name: 'straggler', ledger, prefix: 'old', ...pace };
    await straggler.call('start', plan);
    await straggler.call('release');
    await poll('the messages with the old key', { timeoutMs: 20_000, everyMs: 20 }, async () => {
      return (await straggler.call<{ done: boolean }>('status')).done;
    });
  } finally {
    await straggler.kill();
  }
}

const rotation: Drill = {
  name: 'secret-rotation',
  about: 'the secret is rotated under load; once the old key is removed, its messages become dead letters',
  run: async (context) =>
    onStage(context, await singleEngine('none'), { name: 'secret-rotation', seconds: 12 }, async (stage) => {
      const { current } = KEYS;
      await stage.untilConfirmed(0.1);
      await stage.faults.place('consumers learn the new key', () =>
        roll(stage, { current, previous: [NEXT] }),
      );
      await stage.faults.place('the publisher signs with the new key', () =>
        stage.publisher.call('rekey', { current: NEXT, previous: [current] }),
      );
      await stage.faults.place('consumers make it current', () =>
        roll(stage, { current: NEXT, previous: [current] }),
      );
      await stage.drain();
      await roll(stage, { current: NEXT });
      await publishWithOldKey(stage);
      await stage.drain();
      const reasons = (await stage.inspector.deadLetters()).map(({ reason }) => reason);
      const others = reasons.filter((reason) => reason !== MISMATCH);
      if (others.length > 0) stage.problems.push(`dead letters for another reason: ${others.join(', ')}`);
      return stage.finish({ deadLetters: OLD_MESSAGES, notes: [`old key refused ${reasons.length} times`] });
    }),
};

export const rotationDrills: readonly Drill[] = [rotation];
