import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ForcedGc } from '../../../src/faults/memory/forced-gc.ts';

const test = suite('forced collection of real buffers');
const MIB = 2 ** 20;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

test('[R-E7] buffers that nobody has any more count as reclaimed at once, and the next collection is no waste', () => {
  const usedBytes = (): number => {
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const settings = { forceGc: true, gcBackoffMs: 100, gcMinReclaim: 0.05 };
  const forced = new ForcedGc(settings, usedBytes, () => collect);
  for (let round = 0; round < 3; round++) {
    let kept = Array.from({ length: 8 }, () => Buffer.allocUnsafeSlow(16 * MIB));
    // Old, as what has waited in a queue is.
    collect();
    collect();
    assert.is(kept.length, 8);
    kept = [];
    const outcome = forced.run(round * 100);
    assert.ok(outcome.ran, `round ${round}: ${JSON.stringify(outcome)}`);
    if (outcome.ran) assert.ok(outcome.reclaimedShare > 0.3, `round ${round}: ${outcome.reclaimedShare}`);
  }
});

test.run();
