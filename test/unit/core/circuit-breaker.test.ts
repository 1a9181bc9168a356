import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BreakerOpenError, CircuitBreaker, type Permit } from '../../../src/core/circuit-breaker.ts';
import type { CircuitBreakerOptions } from '../../../src/core/circuit-breaker-options.ts';
import { OptionError } from '../../../src/core/errors.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';

const test = suite('circuit breaker');

function setup(options: CircuitBreakerOptions = {}) {
  const clock = createManualClock();
  const breaker = new CircuitBreaker({ name: 'test', clock }, { consecutiveFailures: 3, ...options });
  const changes: string[] = [];
  breaker.onChange(({ from, to }) => changes.push(`${from}>${to}`));
  const fail = (times = 1): void => {
    for (let i = 0; i < times; i++) breaker.fail(breaker.enter());
  };
  const succeed = (times = 1): void => {
    for (let i = 0; i < times; i++) breaker.succeed(breaker.enter());
  };
  const fresh = (): Permit => {
    const permit = breaker.enter();
    assert.is.not(permit, 0);
    return permit;
  };
  return { clock, breaker, changes, fail, succeed, fresh };
}

test('[R-O1] failures in a row open it, a success between them does not', () => {
  const { breaker, fail, succeed } = setup();
  fail(2);
  succeed();
  fail(2);
  assert.is(breaker.state, 'closed');
  fail();
  assert.is(breaker.state, 'open');
  assert.is(breaker.enter(), 0);
  assert.is(breaker.snapshot().refused, 1);
});

test('[R-O1] calls that fail together are one failure where a span is asked for', () => {
  const { breaker, clock, fail } = setup({ consecutiveSpanMs: 500 });
  fail(100);
  assert.is(breaker.state, 'closed');
  clock.advance(499);
  fail();
  assert.is(breaker.state, 'closed');
  clock.advance(1);
  fail();
  assert.is(breaker.state, 'open');
});

test('[R-O1] a rate opens it once there are calls enough, and forgets what left the window', () => {
  const { breaker, clock, fail, succeed } = setup({
    tripOn: 'rate',
    windowMs: 1000,
    minimumCalls: 10,
    failureRate: 0.5,
  });
  fail(9);
  assert.is(breaker.state, 'closed');
  clock.advance(1100);
  succeed(6);
  fail(5);
  assert.is(breaker.state, 'closed', '5 of 11');
  assert.equal([breaker.snapshot().windowCalls, breaker.snapshot().windowFailures], [11, 5]);
  fail();
  assert.is(breaker.state, 'open', '6 of 12');
});

test('[R-O1] half-open admits as many as there are permits, and closes after successes enough', () => {
  const { breaker, clock, fail, fresh, changes } = setup({
    halfOpenPermits: 2,
    closeAfterSuccesses: 2,
    openBaseMs: 1000,
  });
  fail(3);
  clock.advance(999);
  assert.is(breaker.enter(), 0);
  assert.is(breaker.retryAfterMs(), 1);
  clock.advance(1);
  const [a, b] = [fresh(), fresh()];
  assert.is(breaker.state, 'half-open');
  assert.is(breaker.enter(), 0);
  assert.ok((breaker.retryAfterMs() ?? 0) > 0);
  breaker.succeed(a);
  assert.is(breaker.state, 'half-open');
  breaker.succeed(a);
  assert.is(breaker.state, 'half-open', 'a permit counts once');
  breaker.succeed(b);
  assert.is(breaker.state, 'closed');
  assert.equal(changes, ['closed>open', 'open>half-open', 'half-open>closed']);
});

test('[R-O1] a half-open call that hangs counts as failed after its time, and its own end is ignored', () => {
  const { breaker, clock, fail, fresh } = setup({ openBaseMs: 100, permitTimeoutMs: 5000 });
  fail(3);
  clock.advance(100);
  const hanging = fresh();
  clock.advance(4999);
  assert.is(breaker.enter(), 0);
  assert.is(breaker.state, 'half-open');
  clock.advance(1);
  assert.is(breaker.enter(), 0);
  assert.is(breaker.state, 'open');
  breaker.succeed(hanging);
  assert.is(breaker.state, 'open');
});

test('[R-O1] outcomes of calls begun before a change are ignored', () => {
  const { breaker, clock, fail, fresh, succeed } = setup({ openBaseMs: 100 });
  const old = [fresh(), fresh(), fresh(), fresh()];
  fail(3);
  clock.advance(100);
  succeed();
  assert.is(breaker.state, 'closed');
  for (const permit of old) breaker.fail(permit);
  assert.is(breaker.state, 'closed');
  assert.is(breaker.snapshot().consecutiveFailures, 0);
  fail(3);
  breaker.succeed(old[0] as Permit);
  assert.is(breaker.state, 'open');
});

test('[R-O1] the open time grows to its cap, and is short again once it stayed closed as long', () => {
  const { breaker, clock, fail, succeed } = setup({ openBaseMs: 1000, openCapMs: 5000 });
  const openTimes: number[] = [];
  breaker.onChange(({ openMs, to }) => {
    if (to === 'open') openTimes.push(openMs);
  });
  fail(3);
  for (let i = 0; i < 4; i++) {
    clock.advance(breaker.retryAfterMs() ?? 0);
    fail();
  }
  assert.equal(openTimes, [1000, 2000, 4000, 5000, 5000]);
  clock.advance(5000);
  succeed();
  clock.advance(4999);
  fail(3);
  assert.is(openTimes.at(-1), 5000, 'came back too soon');
  clock.advance(5000);
  succeed();
  clock.advance(5000);
  fail(3);
  assert.is(openTimes.at(-1), 1000);
});

test('[R-O1] aborts and refused arguments are no failures, in half-open they return the permit', async () => {
  const { breaker, clock, fail } = setup({ consecutiveFailures: 1, openBaseMs: 100 });
  const throws = (error: Error) => async (): Promise<void> => {
    throw error;
  };
  const calls = [
    throws(new OptionError('wrong')),
    throws(Object.assign(new Error('x'), { name: 'AbortError' })),
    throws(Object.assign(new Error('x'), { code: 'ABORT_ERR' })),
  ];
  for (const call of calls) await breaker.run(call).catch(() => undefined);
  assert.is(breaker.state, 'closed');
  fail();
  clock.advance(100);
  for (const call of calls) await breaker.run(call).catch(() => undefined);
  assert.is(breaker.state, 'half-open');
  assert.is(breaker.snapshot().permitsOut, 0);
  assert.is(await breaker.run(() => 7), 7);
  assert.is(breaker.state, 'closed');
  await breaker.run(throws(new Error('down'))).catch(() => undefined);
  assert.is(breaker.state, 'open');
});

test('[R-O1] a refusal is typed and says when to come back', async () => {
  const { breaker, fail } = setup({ openBaseMs: 1000 });
  fail(3);
  const error = await breaker.run(() => 1).catch((reason: unknown) => reason);
  assert.instance(error, BreakerOpenError);
  const refusal = error as BreakerOpenError;
  assert.equal([refusal.code, refusal.retryable, refusal.retryAfterMs], ['ESPER_BREAKER_OPEN', true, 1000]);
  breaker.isolate();
  assert.is(breaker.refusal().retryAfterMs, undefined);
});

test('[R-O1] isolated by hand it stays so, whatever ends, until it is released', () => {
  const { breaker, clock, fresh } = setup({ openBaseMs: 1 });
  const before = fresh();
  breaker.isolate();
  const probe = breaker.probe();
  clock.advance(100_000);
  assert.is(breaker.enter(), 0);
  breaker.succeed(before);
  breaker.succeed(probe);
  assert.is(breaker.state, 'isolated');
  breaker.release();
  assert.is(breaker.state, 'closed');
  assert.is.not(breaker.enter(), 0);
});

test('[R-O1] a probe passes an open breaker; its success counts, its failure does not lengthen anything', () => {
  const { breaker, clock, fail, changes } = setup({ openBaseMs: 1000 });
  fail(3);
  for (let i = 0; i < 10; i++) breaker.fail(breaker.probe());
  assert.is(breaker.state, 'open');
  assert.is(breaker.retryAfterMs(), 1000);
  clock.advance(10);
  breaker.succeed(breaker.probe());
  assert.is(breaker.state, 'closed');
  assert.equal(changes, ['closed>open', 'open>half-open', 'half-open>closed']);
});

test('[R-O1] a probe while closed counts like any call', () => {
  const { breaker } = setup();
  for (let i = 0; i < 3; i++) breaker.fail(breaker.probe());
  assert.is(breaker.state, 'open');
});

test('[R-O1] steps of the wall clock change nothing', () => {
  const { breaker, clock, fail } = setup({ openBaseMs: 1000 });
  fail(3);
  clock.stepWall(3_600_000);
  assert.is(breaker.enter(), 0);
  clock.advance(500);
  clock.stepWall(-7_200_000);
  assert.is(breaker.retryAfterMs(), 500);
  clock.advance(500);
  assert.is.not(breaker.enter(), 0);
});

test('[R-O1] a listener that throws reaches neither the caller nor the others; one that left hears nothing', () => {
  const { breaker, changes, fail } = setup();
  let heard = 0;
  breaker.onChange(() => {
    throw new Error('listener');
  });
  const leave = breaker.onChange(() => {
    heard += 1;
  });
  fail(3);
  leave();
  breaker.release();
  assert.is(heard, 1);
  assert.equal(changes, ['closed>open', 'open>closed']);
});

test('[R-O1] options out of range and unknown ones are refused', () => {
  const make = (options: object) => () => new CircuitBreaker({ name: 'x' }, options as CircuitBreakerOptions);
  for (const options of [
    { consecutiveFailures: 0 },
    { failureRate: 2 },
    { openMs: 1 },
    { tripOn: 'never' },
  ]) {
    assert.throws(make(options), (error: Error) => error instanceof OptionError);
  }
});

test.run();
