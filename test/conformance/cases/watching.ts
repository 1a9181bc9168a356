import { setImmediate as turn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Metrics } from '../../../src/core/metrics.ts';
import { EmergencyLevel } from '../../../src/leyline/messages.ts';
import type { WatchBatch, WatchEvent } from '../../../src/signals/index.ts';
import { until } from '../../helpers/until.ts';
import { Bench, type Subject } from '../subject.ts';

const { EMERGENCY_LEVEL_NOTICE: NOTICE, EMERGENCY_LEVEL_HALT: HALT } = EmergencyLevel;

const stepOf = (event: WatchEvent): number => (event.type === 'record' ? event.record.step : Number.NaN);

/** Watching by iterator and by subscription. */
export function watchCases(subject: Subject): void {
  const bench = new Bench(subject);
  const test = suite(`${subject.title} watch`);
  test.after.each(() => bench.cleanUp());

  test('[R-B1] another object of the name is woken by a trigger', async () => {
    const name = bench.name();
    const [trainer, supervisor] = [bench.signal(name), bench.signal(name, { keepAlive: true })];
    const events = supervisor.watch();
    const pending = events.next();
    const id = trainer.trigger(HALT);
    const { value } = await pending;
    assert.is(value?.type === 'record' && value.record.signalId, id);
    await events.return?.();
  });

  test('[R-B1] every consumer has its own cursor and misses nothing', async () => {
    const signal = bench.signal(undefined, { keepAlive: true });
    signal.trigger(NOTICE, { step: 1 });
    const late: number[] = [];
    const early: number[] = [];
    const collect = (into: number[]) => (batch: WatchBatch) => into.push(...batch.records.map((r) => r.step));
    signal.subscribe(collect(late));
    signal.subscribe(collect(early), { from: 'oldest' });
    const iterator = signal.watch({ from: 'oldest' });
    for (let step = 2; step <= 100; step++) signal.trigger(NOTICE, { step });
    const pulled: number[] = [];
    for await (const event of iterator) {
      pulled.push(stepOf(event));
      if (pulled.length === 100) break;
    }
    await until('both subscribers', () => late.length === 99 && early.length === 100);
    const all = Array.from({ length: 100 }, (_, i) => i + 1);
    assert.equal(early, all);
    assert.equal(late, all.slice(1));
    assert.equal(pulled, all);
  });

  test('[R-B1] records overwritten before a consumer came are told', async () => {
    const signal = bench.signal(undefined, { keepAlive: true });
    const iterator = signal.watch();
    let overruns = 0;
    const steps: number[] = [];
    signal.subscribe((batch) => {
      overruns += batch.overruns;
      steps.push(...batch.records.map((r) => r.step));
    });
    for (let step = 0; step < 300; step++) signal.trigger(NOTICE, { step });
    assert.equal((await iterator.next()).value, { type: 'overrun', count: 44 });
    for (let step = 44; step < 300; step++)
      assert.is(stepOf((await iterator.next()).value as WatchEvent), step);
    await until('the subscriber', () => steps.length === 256);
    assert.is(overruns, 44);
    assert.equal([steps[0], steps.at(-1)], [44, 299]);
    await iterator.return?.();
  });

  test('[R-B1] a pending next() ends on abort, on return() and on close()', async () => {
    const signal = bench.signal(undefined, { keepAlive: true });
    const ended = { done: true, value: undefined };
    const abort = new AbortController();
    const aborted = signal.watch({ signal: abort.signal }).next();
    const returning = signal.watch();
    const returned = returning.next();
    const closed = signal.watch().next();
    const several = signal.watch();
    const both = [several.next(), several.next()];
    await turn();
    abort.abort();
    await returning.return?.();
    assert.equal(await aborted, ended);
    assert.equal(await returned, ended);
    assert.equal(await returning.next(), ended);
    signal.close();
    assert.equal(await closed, ended);
    assert.equal(await Promise.all(both), [ended, ended]);
  });

  test('[R-B1] an aborted signal ends the watch before it begins', async () => {
    const signal = bench.signal();
    signal.trigger(HALT);
    const events = signal.watch({ signal: AbortSignal.abort(), from: 'oldest' });
    assert.equal(await events.next(), { done: true, value: undefined });
  });

  test('[R-B1] calls of next() that wait are answered in order', async () => {
    const signal = bench.signal(undefined, { keepAlive: true });
    const events = signal.watch();
    const waiting = [events.next(), events.next(), events.next()];
    for (const step of [1, 2, 3, 4]) signal.trigger(NOTICE, { step });
    const got = await Promise.all([...waiting, events.next()]);
    assert.equal(
      got.map((r) => stepOf(r.value as WatchEvent)),
      [1, 2, 3, 4],
    );
    await events.return?.();
  });

  test('[R-B1] a throwing listener harms no other, and is counted', async () => {
    const metrics = new Metrics();
    const signal = bench.signal(undefined, { keepAlive: true, metrics });
    const seen: number[] = [];
    signal.subscribe(() => {
      throw new Error('listener is broken');
    });
    signal.subscribe((batch) => seen.push(...batch.records.map((r) => r.step)));
    signal.trigger(NOTICE, { step: 1 });
    await until('first record', () => seen.length === 1);
    signal.trigger(NOTICE, { step: 2 });
    await until('second record', () => seen.length === 2);
    assert.equal(seen, [1, 2]);
    assert.is(metrics.value('signals.watch.listener_errors_total'), 2);
  });

  test('[R-B1] an unsubscribed listener hears nothing more, also from inside its own call', async () => {
    const signal = bench.signal(undefined, { keepAlive: true });
    let calls = 0;
    let others = 0;
    const stop = signal.subscribe(() => {
      calls += 1;
      stop();
    });
    signal.subscribe((batch) => {
      others += batch.records.length;
    });
    for (let i = 0; i < 200; i++) signal.trigger(NOTICE);
    await until('the other listener', () => others === 200);
    assert.is(calls, 1);
  });

  test('[R-B1] clears are watched too', async () => {
    const signal = bench.signal(undefined, { keepAlive: true });
    const kinds: string[] = [];
    signal.subscribe((batch) => kinds.push(...batch.records.map((r) => r.kind)));
    signal.trigger(HALT);
    signal.clear(signal.read());
    await until('both records', () => kinds.length === 2);
    assert.equal(kinds, ['trigger', 'clear']);
  });

  if (subject.kind === 'shared') {
    test('[R-F9] a watcher notices that its name was removed, says so and keeps its memory', async () => {
      const metrics = new Metrics();
      const signal = bench.signal(undefined, { keepAlive: true, metrics });
      signal.subscribe(() => undefined);
      signal.trigger(NOTICE);
      assert.is(signal.stats().nameMoved, false);
      signal.unlink();
      await until('the notice', () => metrics.value('signals.watch.name_moved_total') === 1);
      assert.is(signal.stats().nameMoved, true);
      signal.trigger(HALT);
      assert.is(signal.level(), HALT);
      const fresh = bench.signal(signal.name);
      assert.equal([fresh.created, fresh.isSet()], [true, false], 'the name leads to a new flag');
    });
  }

  test('[R-F9] after close() isSet and level stay safe, everything else says so', () => {
    const name = bench.name();
    const signal = bench.signal(name);
    signal.trigger(HALT);
    signal.close();
    signal.close();
    assert.is(signal.isSet(), true);
    assert.is(signal.level(), HALT);
    const closed = (e: { code?: string }) => e.code === 'ESPER_SIGNAL_CLOSED';
    assert.throws(() => signal.read(), closed);
    assert.throws(() => signal.history(), closed);
    assert.throws(() => signal.find('x'), closed);
    assert.throws(() => signal.trigger(HALT), closed);
    assert.throws(() => signal.acknowledge({ generation: 1, level: 4 }), closed);
    assert.throws(() => signal.clear({ generation: 1, level: 4 }), closed);
    assert.throws(() => signal.join('a', 'b'), closed);
    assert.throws(() => signal.leave(), closed);
    assert.throws(() => signal.heartbeat(), closed);
    assert.throws(() => signal.markSeen(1), closed);
    assert.throws(() => signal.participants(), closed);
    assert.throws(() => signal.watch(), closed);
    assert.throws(() => signal.subscribe(() => undefined), closed);
    assert.throws(() => signal.unpublished(), closed);
    assert.throws(() => signal.markPublished({ ticket: 0n }), closed);
    assert.throws(() => signal.stats(), closed);
  });

  test.run();
}
