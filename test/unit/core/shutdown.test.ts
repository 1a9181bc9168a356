import { setImmediate as turn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createShutdown } from '../../../src/core/shutdown.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';

const test = suite('shutdown');

test('[R-W7] steps run one after the other; one that throws is told and is not unfinished', async () => {
  const clock = createManualClock();
  const told: string[] = [];
  const order: string[] = [];
  const shutdown = createShutdown(clock, 1000, (name, error) => told.push(`${name}: ${String(error)}`));
  await shutdown.step('first', async () => {
    await turn();
    order.push('first');
  });
  await shutdown.step('second', () => Promise.reject(new Error('no')));
  order.push('end');
  assert.equal(shutdown.end(), []);
  assert.equal([order, told], [['first', 'end'], ['second: Error: no']]);
  assert.not(shutdown.signal.aborted);
});

test('[R-W7] at the deadline the signal aborts and the step is named; later steps that end at once are not', async () => {
  const clock = createManualClock();
  const shutdown = createShutdown(clock, 1000, () => undefined);
  const hanging = shutdown.step('hangs', () => new Promise(() => undefined));
  clock.advance(999);
  await turn();
  assert.not(shutdown.signal.aborted);
  clock.advance(1);
  await hanging;
  assert.ok(shutdown.signal.aborted);
  await shutdown.step('quick', () => Promise.resolve());
  await shutdown.step('hangs too', () => new Promise(() => undefined));
  assert.equal(shutdown.end(), ['hangs', 'hangs too']);
});

test('[R-W7] work that ends because the deadline aborts it has not ended in time', async () => {
  const clock = createManualClock();
  const shutdown = createShutdown(clock, 1000, () => undefined);
  const aborted = new Promise<void>((resolve) => {
    shutdown.signal.addEventListener('abort', () => resolve());
  });
  const draining = shutdown.step('drain', () => aborted);
  clock.advance(1000);
  await draining;
  assert.equal(shutdown.end(), ['drain']);
});

test.run();
