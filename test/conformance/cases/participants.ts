import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../../src/leyline/messages.ts';
import { type EmergencySignal, PHASES, type Phase, type StaleEvent } from '../../../src/signals/index.ts';
import { blockFor, until } from '../../helpers/until.ts';
import { Bench, type Subject } from '../subject.ts';

const code = (expected: string) => (error: { code?: string }) => error.code === expected;
const LIMITS = { training: 60_000, checkpointing: 600_000, restoring: 0 } as const;

/** Being a participant: phases with their limits, silence, who has seen and acknowledged. */
export function participantCases(subject: Subject): void {
  const bench = new Bench(subject);
  const test = suite(`${subject.title} participants`);
  test.after.each(() => bench.cleanUp());

  const shown = (signal: EmergencySignal) => {
    const [own] = signal.participants();
    return [own?.phase, own?.limitMs, own?.suspended, own?.stale];
  };

  test('[R-B5] each phase is shown with its own limit', () => {
    const name = bench.name();
    const [trainer, other] = [bench.signal(name), bench.signal(name)];
    trainer.join('trainer', 'a', { limitsMs: LIMITS });
    assert.equal(shown(other), ['idle', 0, false, false]);
    const limits: Record<Phase, number> = { idle: 0, ...LIMITS };
    for (const phase of PHASES) {
      trainer.phase(phase);
      assert.equal(shown(other), [phase, limits[phase], false, false]);
    }
    trainer.phase('training');
    trainer.setLimits({ training: 5 });
    assert.equal(shown(other).slice(0, 2), ['training', 5]);
  });

  test('[R-B5] a heartbeat stamps the monotonic clock, also through another signal object', () => {
    const name = bench.name();
    const [trainer, other] = [bench.signal(name), bench.signal(name)];
    trainer.join('trainer', 'a');
    const before = process.hrtime.bigint();
    trainer.heartbeat();
    const beat = other.participants()[0]?.heartbeatNs ?? 0n;
    assert.ok(beat >= before && beat <= process.hrtime.bigint());
    trainer.leave();
    trainer.heartbeat();
    assert.equal(other.participants(), [], 'whoever left beats for nobody');
  });

  test('[R-B5] scopes nest, end in any order, once, and also when their work fails', async () => {
    const signal = bench.signal();
    signal.join('trainer', 'a', { limitsMs: LIMITS, phase: 'training' });
    const inner = signal.during('checkpointing', () => {
      assert.equal(shown(signal), ['checkpointing', 600_000, false, false]);
      return signal.during('restoring', () => shown(signal));
    });
    assert.equal(inner, ['restoring', 0, false, false]);
    assert.equal(shown(signal), ['training', 60_000, false, false]);
    assert.throws(() => signal.during('restoring', () => JSON.parse('{')));
    assert.is(shown(signal)[0], 'training');
    const pending = signal.during('checkpointing', () => delay(5, 'saved'));
    assert.is(shown(signal)[0], 'checkpointing');
    assert.is(await pending, 'saved');
    assert.is(shown(signal)[0], 'training');
    await signal.during('checkpointing', () => Promise.reject(new Error('full'))).catch(() => undefined);
    assert.is(shown(signal)[0], 'training');
    const [outer, later] = [signal.suspend('checkpointing'), signal.suspend('restoring')];
    signal.phase('idle');
    outer();
    outer();
    assert.equal(shown(signal), ['restoring', 0, true, false]);
    later[Symbol.dispose]();
    assert.equal(shown(signal), ['idle', 0, false, false]);
  });

  test('[R-B5] a suspended participant is not judged, and others see that', async () => {
    const name = bench.name();
    const [trainer, other] = [bench.signal(name), bench.signal(name)];
    trainer.join('trainer', 'a', { limitsMs: { training: 1 }, phase: 'training' });
    const resume = trainer.suspend();
    await delay(20);
    assert.equal(shown(other), ['training', 0, true, false]);
    resume();
    await until('stale', () => other.participants()[0]?.stale === true);
    assert.ok((other.participants()[0]?.staleForMs ?? 0) > 0);
    trainer.heartbeat();
  });

  test('[R-B5] limits and phases that do not exist are refused, and nothing is changed', () => {
    const signal = bench.signal();
    const refused = code('ESPER_OPTION_INVALID');
    assert.throws(() => signal.join('trainer', 'a', { limitsMs: { training: -1 } }), refused);
    assert.throws(() => signal.join('trainer', 'a', { limitsMs: { trainig: 1 } as object }), /"training"/);
    assert.throws(() => signal.join('trainer', 'a', { phase: 'resting' as Phase }), refused);
    assert.throws(() => signal.join('trainer', 'a', { phase: '' as Phase }), refused);
    assert.throws(() => signal.join('trainer', 'a', { limitMs: LIMITS } as object), /"limitsMs"/);
    assert.equal(signal.participants(), []);
    signal.join('trainer', 'a', { limitsMs: LIMITS, phase: 'training' });
    assert.throws(() => signal.phase('toString' as Phase), refused);
    assert.throws(() => signal.during('resting' as Phase, () => 1), refused);
    assert.throws(() => signal.suspend('resting' as Phase), refused);
    assert.throws(() => signal.setLimits({ training: 2 ** 31 }), refused);
    assert.equal(shown(signal), ['training', 60_000, false, false]);
  });

  test('[R-B5] a silence is told once, its end once; a late listener hears of it as well', async () => {
    const name = bench.name();
    const [trainer, supervisor] = [bench.signal(name), bench.signal(name)];
    trainer.join('trainer', 'a', { limitsMs: { training: 30 }, phase: 'training' });
    const told: StaleEvent[] = [];
    const late: string[] = [];
    supervisor.onStale((event) => told.push(event));
    await until('told', () => told.length === 1);
    const first = told[0]?.participant;
    assert.equal([told[0]?.type, first?.name, first?.phase, first?.stale], ['stale', 'a', 'training', true]);
    const stop = supervisor.onStale(({ type }) => late.push(type));
    await until('the late one told', () => late.length === 1);
    trainer.phase('checkpointing');
    await until('recovered', () => told.length === 2 && late.length === 2);
    stop();
    trainer.phase('training');
    await until('the next episode', () => told.length === 3);
    trainer.leave();
    await until('its end', () => told.length === 4);
    assert.equal(
      told.map(({ type }) => type),
      ['stale', 'recovered', 'stale', 'gone'],
    );
    assert.equal(late, ['stale', 'recovered']);
  });

  test('[R-B5] whoever comes after all others left hears of a silence that goes on, and of its end', async () => {
    const name = bench.name();
    const [trainer, supervisor] = [bench.signal(name), bench.signal(name)];
    trainer.join('trainer', 'a', { limitsMs: { training: 30 }, phase: 'training' });
    const first: string[] = [];
    const second: string[] = [];
    const stop = supervisor.onStale(({ type }) => first.push(type));
    await until('told', () => first.length === 1);
    stop();
    supervisor.onStale(({ type }) => second.push(type));
    await until('told again', () => second.length === 1);
    trainer.phase('checkpointing');
    await until('recovered', () => second.length === 2);
    assert.equal([first, second], [['stale'], ['stale', 'recovered']]);
  });

  test('[R-B6] the id of a heartbeat that stops is kept whole or refused', () => {
    const signal = bench.signal();
    signal.join('trainer', 'a');
    const { EMERGENCY_LEVEL_ELEVATED: ELEVATED } = EmergencyLevel;
    for (const signalId of ['', 'ü'.repeat(33)])
      assert.throws(() => signal.armHeartbeat(1000, ELEVATED, { signalId }), /signalId/);
    assert.is(signal.armHeartbeat(1000, ELEVATED, { signalId: 'ü'.repeat(32) }), true);
    signal.disarmHeartbeat();
  });

  const silent = (name: string, limitMs: number): BigUint64Array => {
    const trainer = bench.flag(name);
    trainer.join('trainer', 'a');
    const pulse = trainer.pulse();
    if (pulse === undefined) throw new Error('no pulse');
    Atomics.store(new Int32Array(pulse), 2, PHASES.indexOf('training'));
    Atomics.store(new Int32Array(pulse), 7, limitMs);
    return new BigUint64Array(pulse);
  };

  test('[R-B5] judging that is switched on again tells again of whoever is silent, and of nothing older', async () => {
    const name = bench.name();
    const beats = silent(name, 20);
    const watcher = bench.flag(name);
    let told = 0;
    watcher.watch(() => void told++, { keepAlive: false, recheckMs: 10 });
    watcher.judge(true);
    await until('told', () => told > 0);
    for (let round = 0; round < 3; round++) {
      watcher.judge(false);
      watcher.judge(true);
      watcher.judge(true);
      await delay(60);
      assert.equal(
        watcher.takeStale().map(({ change }) => change),
        ['stale'],
        'told before, and not taken: once',
      );
    }
    watcher.judge(false);
    beats[0] = process.hrtime.bigint() + 60_000_000_000n;
    watcher.judge(true);
    await delay(60);
    assert.equal(watcher.takeStale(), [], 'back meanwhile: its end is for who knows of its beginning');
  });

  test('[R-B5] what a watch was told of and did not take calls the watch that replaces it', async () => {
    const name = bench.name();
    silent(name, 1);
    const watcher = bench.flag(name);
    const options = { keepAlive: false, recheckMs: 10 };
    let replaced = 0;
    let called = 0;
    watcher.watch(() => void replaced++, options);
    watcher.judge(true);
    blockFor(100); // the native thread finds the silence, and the loop cannot look
    watcher.watch(() => void called++, options);
    await until('called', () => called > 0);
    assert.is(replaced, 0);
    assert.is(watcher.takeStale()[0]?.change, 'stale');
  });

  test('[R-B5] who has seen, who has acknowledged, who is missing', () => {
    const name = bench.name();
    const [a, b, c, raiser] = ['a', 'b', 'c', 'raiser'].map((role) => {
      const signal = bench.signal(name);
      if (role !== 'raiser') signal.join('trainer', role);
      return signal;
    }) as [EmergencySignal, EmergencySignal, EmergencySignal, EmergencySignal];
    raiser.trigger(EmergencyLevel.EMERGENCY_LEVEL_HALT);
    const seen = raiser.read();
    a.acknowledge(seen);
    b.markSeen(seen.generation);
    c.setLimits({ training: 1 });
    c.phase('training');
    const from = process.hrtime.bigint();
    while (process.hrtime.bigint() - from < 5_000_000n);
    const answers = raiser.acknowledgements(seen.generation);
    const names = (list: readonly { name: string }[]) => list.map((one) => one.name).sort();
    assert.equal(names(answers.seen), ['a', 'b']);
    assert.equal(names(answers.acknowledged), ['a']);
    assert.equal([names(answers.missing.live), names(answers.missing.stale)], [['b'], ['c']]);
    assert.equal(answers.missing.dead, []);
    const later = raiser.acknowledgements((seen.generation + 1) >>> 0);
    assert.equal([later.seen, later.acknowledged], [[], []]);
  });

  test('[R-B6] deadlines that passed are counted, with how late the flag was set', async () => {
    const signal = bench.rollback();
    assert.equal(signal.deadlineStats(), {
      ...{ armed: 0, fired: 0, overrunMaxMs: 0, overrunP50Ms: 0, overrunP99Ms: 0 },
    });
    signal.request({ requestId: 'slow', step: 1, tier: 1, deadlineMs: 10 });
    assert.is(signal.deadlineStats().armed, 1);
    await until('expired', () => signal.read().phase === 'expired' && signal.deadlineStats().fired === 1);
    const { armed, overrunMaxMs, overrunP50Ms, overrunP99Ms } = signal.deadlineStats();
    assert.is(armed, 0);
    assert.ok(overrunP50Ms > 0 && overrunP50Ms <= overrunP99Ms && overrunP99Ms <= overrunMaxMs);
  });

  test('[R-B6] a heartbeat that stops triggers once; the next one begins anew', async () => {
    const flag = bench.flag();
    assert.is(flag.armHeartbeat(0, { level: 2 }), false, 'to end what was never begun takes no slot');
    assert.is(flag.armHeartbeat(20, { level: 2 }), subject.title !== 'twin', 'the addon claims a slot');
    flag.join('trainer', 'a');
    const pulse = flag.pulse();
    if (pulse === undefined) throw new Error('no pulse');
    assert.is(flag.armHeartbeat(20, { level: 2, reason: 'hangs' }), true);
    await delay(50);
    assert.is(flag.read().level, 0, 'idle: nothing is expected of it');
    new BigUint64Array(pulse)[0] = process.hrtime.bigint();
    Atomics.store(new Int32Array(pulse), 2, PHASES.indexOf('training'));
    await until('triggered', () => flag.history().length === 1);
    await delay(50);
    assert.is(flag.history().length, 1);
    new BigUint64Array(pulse)[0] = process.hrtime.bigint();
    await until('triggered again', () => flag.history().length === 2);
    assert.is(flag.armHeartbeat(0, { level: 2 }), true);
  });

  test('participants of a closed signal are refused', () => {
    const signal = bench.signal();
    signal.join('trainer', 'a');
    signal.close();
    const closed = code('ESPER_SIGNAL_CLOSED');
    for (const call of [
      () => signal.heartbeat(),
      () => signal.phase('idle'),
      () => signal.suspend(),
      () => signal.during('idle', () => 1),
      () => signal.setLimits({}),
      () => signal.acknowledgements(1),
      () => signal.onStale(() => undefined),
      () => signal.deadlineStats(),
    ])
      assert.throws(call, closed);
  });

  test.run();
}
