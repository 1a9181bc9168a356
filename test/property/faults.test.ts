import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { GracefulDegradation } from '../../src/faults/degradation.ts';
import { ErrorBus, type ErrorBusSnapshot } from '../../src/faults/error-bus.ts';
import type { ErrorEvent } from '../../src/faults/error-event.ts';
import type { ErrorHandler } from '../../src/faults/error-handler.ts';
import { ErrorRecords } from '../../src/faults/error-records.ts';
import { PendingEvent } from '../../src/faults/pending-event.ts';
import { RateLimiter } from '../../src/faults/rate-limiter.ts';
import { WaitingErrors } from '../../src/faults/waiting-error.ts';
import { CRITICAL, errorReport, present, turns } from '../helpers/faults.ts';
import { createManualClock } from '../helpers/manual-clock.ts';

const test = suite('faults');

const BEHAVIOURS = ['keeps', 'throws', 'rejects', 'slow', 'hangs', 'emits'] as const;
type Behaviour = (typeof BEHAVIOURS)[number];

function handlerOf(behaviour: Behaviour, bus: ErrorBus, events: ErrorEvent[]): ErrorHandler {
  const acts: Record<Behaviour, () => void | Promise<void>> = {
    keeps: () => undefined,
    throws: () => {
      throw new Error('throws');
    },
    rejects: () => Promise.reject(new Error('rejects')),
    slow: () => turns(2),
    hangs: () => new Promise(() => undefined),
    emits: async () => {
      bus.emit(errorReport({ code: 'WITHIN' }));
      await turns(1);
      bus.emit(errorReport({ code: 'AFTER' }));
    },
  };
  return {
    name: behaviour,
    handle: (event) => {
      events.push(event);
      return acts[behaviour]();
    },
  };
}

function identityHolds({ listeners }: ErrorBusSnapshot): void {
  for (const { name, offered, suppressed, dropped, queued, delivered } of listeners) {
    assert.is(offered, suppressed + dropped + queued + delivered, name);
  }
}

const emission = fc.record({
  kind: fc.constant('emit' as const),
  severity: fc.integer({ min: 1, max: 5 }),
  code: fc.constantFrom('A', 'B', 'C'),
  component: fc.integer({ min: 0, max: 12 }),
  recoverable: fc.boolean(),
  times: fc.integer({ min: 1, max: 5 }),
});
const step = fc.oneof(
  { weight: 6, arbitrary: emission },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('turn' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 200 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('listen' as const), behaviour: fc.constantFrom(...BEHAVIOURS) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave' as const), at: fc.nat(5) }) },
);

test('[R-E5] offered = delivered + suppressed + dropped + queued for every listener, whatever happens', async () => {
  let dropped = 0;
  let suppressed = 0;
  const property = fc.asyncProperty(
    fc.array(step, { minLength: 1, maxLength: 80 }),
    fc.integer({ min: 2, max: 12 }),
    async (steps, queueLimit) => {
      const clock = createManualClock();
      const bus = new ErrorBus(
        { clock, logger: { debug() {}, info() {}, warn() {}, error() {} } },
        { queueLimit, handlerTimeoutMs: 100, drainTimeoutMs: 50, maxHungCalls: 2, maxRecords: 20 },
      );
      const kept: ErrorEvent[] = [];
      const leaves = [bus.listen(handlerOf('keeps', bus, kept)), bus.listen(handlerOf('hangs', bus, []))];
      let emitted = 0;
      for (const one of steps) {
        if (one.kind === 'turn') await turns(1);
        else if (one.kind === 'time') clock.advance(one.ms);
        else if (one.kind === 'listen') leaves.push(bus.listen(handlerOf(one.behaviour, bus, [])));
        else if (one.kind === 'leave') leaves[2 + one.at]?.();
        else {
          const { severity, code, component, recoverable, times } = one;
          emitted += times;
          const report = errorReport({ severity, code, component: `c${component}`, recoverable });
          for (let i = 0; i < times; i++) bus.emit(report);
        }
        identityHolds(bus.snapshot());
      }
      await turns(30);
      const keeps = present(bus.snapshot().listeners[0]);
      assert.is(keeps.queued, 0, 'beside one that hangs');
      assert.is(kept.length, keeps.delivered);
      const told = kept.reduce((sum, { count }) => sum + count, 0);
      assert.ok(told <= keeps.offered);
      if (keeps.dropped === 0) assert.is(told, keeps.offered, 'every one is in some count');
      const { records, bySeverity } = bus.snapshot();
      const counted = records.reduce((sum, { count }) => sum + count, 0);
      assert.ok(counted >= emitted);
      assert.is(
        bySeverity.reduce((sum, count) => sum + count, 0),
        counted,
      );
      const closing = bus.close();
      for (let i = 0; i < 10; i++) {
        clock.advance(50);
        await turns(1);
      }
      const { snapshot } = await closing;
      identityHolds(snapshot);
      for (const listener of snapshot.listeners) {
        assert.is(listener.queued, 0);
        dropped += listener.dropped;
        suppressed += listener.suppressed;
      }
    },
  );
  await fc.assert(property, { numRuns: 150 });
  assert.ok(dropped > 0 && suppressed > 0, 'overflow and coalescing came up');
});

test('[R-E5] a queue gives up nothing for what is no more severe, and nothing CRITICAL while there is anything else', () => {
  const records = new ErrorRecords(1, () => 0);
  const severity = fc.integer({ min: 1, max: 5 });
  const steps = fc.array(
    fc.oneof({ weight: 4, arbitrary: severity }, { weight: 1, arbitrary: fc.constant(0) }),
    {
      maxLength: 200,
    },
  );
  let evictions = 0;
  const property = fc.property(steps, fc.integer({ min: 2, max: 10 }), (severities, limit) => {
    const queue = new WaitingErrors(limit, 1);
    let model: number[] = [];
    for (const severity of severities) {
      if (severity === 0) {
        assert.is(queue.shift()?.pending.severity, model.shift());
        continue;
      }
      const room = model.length < (severity === CRITICAL ? limit : limit - 1);
      const lowest = Math.min(...model);
      assert.is(queue.hasRoom(severity), room || lowest < severity);
      if (!room && lowest >= severity) continue;
      const report = errorReport({ severity });
      const pending = new PendingEvent(records.of(report), report, severity, true, 0);
      const evicted = queue.push({
        ...{ pending, isBusy: true, untold: 1, order: 0 },
        ...{ calls: 0, isResting: false },
      });
      assert.is(evicted?.pending.severity, room ? undefined : lowest);
      if (!room) {
        evictions += 1;
        model = model.toSpliced(model.lastIndexOf(lowest), 1);
      }
      model.push(severity);
      assert.is(queue.size, model.length);
    }
  });
  fc.assert(property, { numRuns: 300 });
  assert.ok(evictions > 0);
});

const change = fc.record({
  how: fc.constantFrom('update', 'enter', 'leave', 'wait'),
  level: fc.integer({ min: 0, max: 5 }),
  failing: fc.subarray(['+0', '+1', '+2', '+3', '+4', '+5', '-0', '-1', '-2', '-3', '-4', '-5']),
});

test('[R-E7] degradation puts back exactly what was, whatever was asked for and whatever failed on the way', async () => {
  let failures = 0;
  const property = fc.asyncProperty(
    fc.array(change, { maxLength: 30 }),
    fc.array(fc.integer(), { minLength: 6, maxLength: 6 }),
    async (changes, normal) => {
      const values = [...normal];
      const applied = new Set<number>();
      let failing: readonly string[] = [];
      const action = (at: number) => {
        let saved = 0;
        return {
          name: `action ${at}`,
          apply: () => {
            if (failing.includes(`+${at}`)) throw new Error('apply');
            assert.not(applied.has(at), 'applied twice');
            applied.add(at);
            saved = present(values[at]);
            values[at] = -1;
          },
          undo: () => {
            if (failing.includes(`-${at}`)) throw new Error('undo');
            assert.ok(applied.delete(at), 'undone and never applied');
            values[at] = saved;
          },
        };
      };
      const levels = [0, 2, 4].map((at) => ({ name: `level ${at}`, actions: [action(at), action(at + 1)] }));
      const clock = createManualClock();
      const codes: string[] = [];
      const degradation = new GracefulDegradation({
        levels,
        clock,
        errors: {
          emit: ({ code, error }) => codes.push(error instanceof Error ? `${code} ${error.message}` : code),
        },
      });
      for (const { how, level, failing: next } of changes) {
        failing = next;
        if (how === 'update') degradation.update(level, 'p');
        else if (how === 'enter') degradation.enter(level, 'p');
        else if (how === 'leave') degradation.leave('p');
        else clock.advance(60_000);
        await turns(1);
        const { level: now, byHand, byPressure, applied: names } = degradation.snapshot();
        assert.is(now, Math.max(byHand, byPressure));
        assert.is(names.length, applied.size);
      }
      failing = [];
      degradation.leave('end');
      degradation.update(0, 'end');
      clock.advance(60_000);
      await turns(1);
      assert.equal(values, normal);
      assert.is(applied.size, 0);
      const wrong = codes.filter((code) => /twice|never/.test(code));
      assert.equal(wrong, []);
      failures += degradation.snapshot().failures;
      degradation.close();
    },
  );
  await fc.assert(property, { numRuns: 200 });
  assert.ok(failures > 0);
});

test('[R-E7] in no span of time is more taken than the burst and the rate allow, and all limits lifted leave the rate', () => {
  const take = fc.record({ kind: fc.constant('take' as const), count: fc.integer({ min: 1, max: 5 }) });
  const time = fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 0, max: 500 }) });
  const limit = fc.record({
    kind: fc.constant('limit' as const),
    rate: fc.double({ min: 0, max: 100, noNaN: true }),
  });
  const lift = fc.record({ kind: fc.constant('lift' as const), at: fc.nat(3) });
  const steps = fc.array(fc.oneof(take, take, time, limit, lift), { maxLength: 120 });
  const property = fc.property(steps, (all) => {
    const clock = createManualClock();
    const limiter = new RateLimiter({ name: 'test', clock }, { ratePerSecond: 50, burst: 10 });
    const lifts: (() => void)[] = [];
    const taken: [number, number][] = [];
    for (const one of all) {
      if (one.kind === 'time') clock.advance(one.ms);
      else if (one.kind === 'limit') lifts.push(limiter.limit({ ratePerSecond: one.rate, burst: 10 }));
      else if (one.kind === 'lift') lifts[one.at]?.();
      else if (limiter.tryTake(one.count)) taken.push([clock.monotonicMs(), one.count]);
    }
    for (const [at, [fromMs]] of taken.entries()) {
      let sum = 0;
      for (const [atMs, count] of taken.slice(at)) {
        sum += count;
        assert.ok(sum <= 10 + ((atMs - fromMs) / 1000) * 50 + 1e-3, `${sum} in ${atMs - fromMs} ms`);
      }
    }
    for (const liftOne of lifts.reverse()) liftOne();
    const { ratePerSecond, burst, limits } = limiter.snapshot();
    assert.equal([ratePerSecond, burst, limits], [50, 10, 0]);
  });
  fc.assert(property, { numRuns: 300 });
});

test.run();
