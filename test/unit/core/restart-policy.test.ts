import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { RestartPolicy } from '../../../src/core/restart-policy.ts';

const test = suite('restart policy');
const RULES = { baseMs: 100, capMs: 1000, healthyAfterMs: 5000, maxRestarts: 0, windowMs: 60_000 };

test('[R-E6] the wait doubles up to its cap, jittered in full, and begins anew after a healthy run', () => {
  const policy = new RestartPolicy(RULES, () => 0.5);
  const waits = [0, 1, 2, 3, 4, 5].map((at) => policy.failed(at, 10));
  assert.equal(waits, [50, 100, 200, 400, 500, 500]);
  assert.is(policy.failed(10_000, 4999), 500);
  assert.is(policy.failed(20_000, 5000), 50);
});

test('[R-E6] more failures than allowed within the window give it up, healthy runs or not', () => {
  const policy = new RestartPolicy({ ...RULES, maxRestarts: 2, windowMs: 1000 }, () => 0);
  const outcomes = [0, 500, 1400, 1499, 1501].map((atMs) => policy.failed(atMs, 6000));
  assert.equal(outcomes, [0, 0, 0, undefined, undefined]);
  assert.is(policy.failed(9000, 6000), 0, 'asked again later, the window is empty');
});

test.run();
