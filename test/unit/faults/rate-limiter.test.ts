import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { OptionError } from '../../../src/core/errors.ts';
import { FaultsClosedError, RateLimitedError } from '../../../src/faults/errors.ts';
import { RateLimiter } from '../../../src/faults/rate-limiter.ts';
import type { RateLimiterOptions } from '../../../src/faults/rate-limiter-options.ts';
import { turns } from '../../helpers/faults.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';

const test = suite('rate limiter');

function setup(options: RateLimiterOptions = {}) {
  const clock = createManualClock();
  const limiter = new RateLimiter({ name: 'test', clock }, options);
  const done: string[] = [];
  const wait = (name: string, count = 1, signal?: AbortSignal): void => {
    limiter.wait(count, signal).then(
      () => done.push(name),
      (error: Error) => done.push(`${name} ${error.name}`),
    );
  };
  const takeAll = (): number => {
    let taken = 0;
    while (limiter.tryTake()) taken += 1;
    return taken;
  };
  return { clock, limiter, done, wait, takeAll };
}

test('[R-E7] the burst at once, then no more than the rate, whatever the wall clock does', () => {
  const { clock, takeAll } = setup({ ratePerSecond: 100, burst: 20 });
  assert.is(takeAll(), 20);
  clock.stepWall(3_600_000);
  assert.is(takeAll(), 0);
  let taken = 0;
  for (let i = 0; i < 1000; i++) {
    clock.advance(1);
    taken += takeAll();
  }
  assert.is(taken, 100);
  clock.advance(3_600_000);
  assert.is(takeAll(), 20, 'no more saved up than the burst');
});

test('[R-E7] take says when to come back', () => {
  const { clock, limiter, takeAll } = setup({ ratePerSecond: 10, burst: 2 });
  takeAll();
  const refused = (error: unknown): boolean =>
    error instanceof RateLimitedError && error.retryAfterMs === 100 && error.retryable;
  assert.throws(() => limiter.take(), refused);
  clock.advance(99);
  assert.is(Math.round(limiter.retryAfterMs()), 1);
  clock.advance(1);
  limiter.take();
  assert.equal([limiter.snapshot().taken, limiter.snapshot().refused], [3, 2]);
});

test('[R-E7] who asks for more than the burst waits for all of it and leaves a debt: the rate holds over time', () => {
  const { clock, limiter, takeAll } = setup({ ratePerSecond: 100, burst: 10 });
  assert.ok(limiter.tryTake(60));
  assert.is(limiter.snapshot().tokens, -50);
  clock.advance(500);
  assert.is(takeAll(), 0);
  clock.advance(100);
  assert.is(takeAll(), 10);
});

test('[R-E7] those that wait go in order; nobody overtakes them', async () => {
  const { clock, limiter, done, wait, takeAll } = setup({ ratePerSecond: 10, burst: 5 });
  takeAll();
  wait('large', 3);
  wait('small', 1);
  clock.advance(200);
  await turns();
  assert.not(limiter.tryTake(), 'two tokens are there, and they are spoken for');
  assert.equal(done, []);
  assert.is(Math.round(limiter.retryAfterMs()), 300);
  clock.advance(100);
  await turns();
  assert.equal(done, ['large']);
  clock.advance(100);
  await turns();
  assert.equal(done, ['large', 'small']);
  assert.is(clock.sleepers, 0);
});

test('[R-E7] a wait is aborted by its signal, and those behind it move up', async () => {
  const { clock, limiter, done, wait, takeAll } = setup({ ratePerSecond: 10, burst: 5 });
  takeAll();
  const abort = new AbortController();
  wait('large', 5, abort.signal);
  wait('small', 1);
  clock.advance(100);
  await turns();
  abort.abort();
  await turns();
  assert.equal([...done].sort(), ['large AbortError', 'small']);
  assert.is(limiter.snapshot().waiting, 0);
  wait('late', 1, abort.signal);
  await turns();
  assert.ok(done.includes('late AbortError'));
});

test('[R-E7] only so many wait, and close ends them', async () => {
  const { limiter, done, wait, takeAll } = setup({ ratePerSecond: 1, burst: 1, maxWaiting: 1 });
  takeAll();
  wait('first');
  wait('second');
  await turns();
  assert.equal(done, ['second RateLimitedError']);
  limiter.close();
  await turns();
  assert.equal(done, ['second RateLimitedError', 'first FaultsClosedError']);
  assert.throws(
    () => limiter.tryTake(),
    (error: unknown) => error instanceof FaultsClosedError,
  );
});

test('[R-E7] a rate of 0 holds everybody until it is changed', async () => {
  const { clock, limiter, done, wait, takeAll } = setup({ ratePerSecond: 10, burst: 1 });
  const lift = limiter.limit({ ratePerSecond: 0, burst: 1 });
  takeAll();
  wait('held');
  clock.advance(3_600_000);
  await turns();
  assert.equal(done, []);
  assert.is(limiter.retryAfterMs(), Number.POSITIVE_INFINITY);
  assert.throws(() => limiter.take(), /while the rate is 0/);
  lift();
  clock.advance(100);
  await turns();
  assert.equal(done, ['held']);
});

test('[R-E7] limits hold together, are lifted in any order, and leave exactly what was', () => {
  const { limiter } = setup({ ratePerSecond: 1000, burst: 100 });
  const rate = (): number[] => {
    const { ratePerSecond, burst } = limiter.snapshot();
    return [ratePerSecond, burst];
  };
  const liftMild = limiter.limit({ ratePerSecond: 100, burst: 50 });
  const liftHard = limiter.limit({ ratePerSecond: 10, burst: 80 });
  assert.equal(rate(), [10, 50]);
  liftMild();
  liftMild();
  assert.equal(rate(), [10, 80]);
  limiter.setRate({ ratePerSecond: 500, burst: 60 });
  assert.equal(rate(), [10, 60]);
  liftHard();
  assert.equal(rate(), [500, 60], 'the rate of now, not the one when it was limited');
});

test('[R-E7] what came back before a change came at the old rate', () => {
  const { clock, limiter, takeAll } = setup({ ratePerSecond: 100, burst: 100 });
  takeAll();
  clock.advance(100);
  limiter.setRate({ ratePerSecond: 1000, burst: 100 });
  assert.is(takeAll(), 10);
});

test('[R-E7][R-E9] what is no rate is refused', () => {
  const isOption = (error: unknown): boolean => error instanceof OptionError;
  for (const ratePerSecond of [-1, Number.NaN, Number.POSITIVE_INFINITY, '5' as never]) {
    assert.throws(() => setup({ ratePerSecond }), isOption);
    assert.throws(() => setup().limiter.limit({ ratePerSecond, burst: 1 }), isOption);
  }
  assert.throws(() => setup({ burst: 0 }), isOption);
  assert.throws(() => setup().limiter.tryTake(-1), isOption);
});

test.run();
