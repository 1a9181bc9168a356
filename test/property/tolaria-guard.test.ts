import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createGuardRig } from '../helpers/guard-rig.ts';
import { seededRandom } from '../helpers/seeded.ts';

const test = suite('training guard, for all losses');

const policy = fc.record({
  snapshotEverySteps: fc.integer({ min: 1, max: 30 }),
  confirmSteps: fc.integer({ min: 1, max: 15 }),
  keepSnapshots: fc.integer({ min: 1, max: 4 }),
  warmupSteps: fc.integer({ min: 1, max: 64 }),
});

const bad = fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);

test('[R-F7] whenever the loss breaks, the guard restores a healthy snapshot from before, confirmed by enough steps', () => {
  const spikes = fc.uniqueArray(fc.integer({ min: 1, max: 300 }), { maxLength: 10 });
  fc.assert(
    fc.property(policy, fc.integer({ min: 1, max: 300 }), spikes, bad, (options, failAt, spikesAt, value) => {
      const rig = createGuardRig(options);
      const suspect = new Set(spikesAt);
      for (let step = 1; step < failAt; step++) rig.run([suspect.has(step) ? 5 : 1]);
      const spiked = rig.events.flatMap((event) => (event.type === 'anomaly' ? [event.step] : []));
      assert.equal(rig.run([value]), ['rolledBack']);
      const [to = -1] = rig.restored;
      assert.ok(to < failAt);
      if (to > 0) {
        assert.not.ok(spiked.includes(to), `step ${to} was a spike`);
        const followed = [...Array(options.confirmSteps).keys()].map((i) => to + 1 + i);
        assert.ok(
          followed.every((step) => step < failAt && !spiked.includes(step)),
          `${to} was not confirmed before ${failAt}`,
        );
      }
      assert.is(rig.signal.level(), 3);
      assert.ok(rig.held.size <= options.keepSnapshots + 1);
      rig.close();
    }),
    { numRuns: 300 },
  );
});

/** Standard normal by Box and Muller. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Losses of trainings that are well, as functions of the step. */
const trainings: Record<string, (step: number, random: () => number) => number> = {
  'steady, 20 % noise': (_, random) => Math.abs(1 + 0.2 * normal(random)),
  'decaying, 30 % uniform noise': (step, random) =>
    (0.05 + 2 * Math.exp(-step / 200)) * (0.7 + 0.6 * random()),
  'power law, log-normal noise': (step, random) => 3 * (1 + step) ** -0.4 * Math.exp(0.15 * normal(random)),
  'around zero': (_, random) => normal(random) / 10,
  'falling through zero': (step, random) => 3 - step / 200 + 0.1 * normal(random),
  'perfect with residue': (step, random) => (step < 50 ? 2.3 : 1e-9 * random()),
};

test('[R-F7] the noise of a training that is well raises nothing', () => {
  for (const [name, loss] of Object.entries(trainings)) {
    fc.assert(
      fc.property(fc.integer(), fc.double({ min: -6, max: 6, noNaN: true }), (seed, exponent) => {
        const random = seededRandom(seed);
        const rig = createGuardRig({ minBaselineLoss: 1e-12 });
        const scale = 10 ** exponent;
        for (let step = 0; step < 1500; step++) rig.run([loss(step, random) * scale]);
        const anomalies = rig.events.filter(({ type }) => type === 'anomaly');
        assert.is(anomalies.length, 0, `${name}: ${JSON.stringify(anomalies[0], (_, v) => String(v))}`);
        rig.close();
      }),
      { numRuns: 20 },
    );
  }
});

test('[R-F7] a divergence is found in each of these trainings, wherever and however slowly it begins, and not restored', () => {
  const failures = fc.integer({ min: 100, max: 800 });
  const growths = fc.constantFrom(1.1, 1.3, 2);
  for (const [name, loss] of Object.entries(trainings)) {
    fc.assert(
      fc.property(fc.integer(), failures, growths, (seed, failAt, growth) => {
        const random = seededRandom(seed);
        const rig = createGuardRig({ minBaselineLoss: 1e-12 });
        let rolledBack = false;
        let largest = 0;
        // The rig counts the steps from 1.
        const blowUpAt = (step: number) => (step < failAt ? 0 : 0.01 * growth ** (step - failAt));
        for (let step = 0; step < failAt + 400 && !rolledBack; step++) {
          const healthy = loss(step, random);
          if (step < failAt) largest = Math.max(largest, healthy);
          rolledBack = rig.run([healthy + blowUpAt(step)])[0] === 'rolledBack';
        }
        assert.ok(rolledBack, name);
        const excess = blowUpAt((rig.restored[0] ?? 0) - 1);
        assert.ok(excess < 2 * largest, `${name}: restored a loss ${excess} too high`);
        rig.close();
      }),
      { numRuns: 20 },
    );
  }
});

test.run();
