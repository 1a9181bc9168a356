import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadNative } from '../../src/native/load.ts';
import { NO_LIMITS, PHASES } from '../../src/signals/phases.ts';
import { Pulse } from '../../src/signals/pulse.ts';

/** What a slot shows of a participant, and in which order it is written. */

const test = suite('pulse');
const open: { close(): void }[] = [];
test.after.each(() => {
  for (const one of open.splice(0)) one.close();
});

const SUSPENDED = 0x100;
const LIMITS = { ...NO_LIMITS, training: 500, checkpointing: 9000 };

function joined() {
  const options = {
    segment: 'emergency',
    kind: 'process-local',
    attachTimeoutMs: 100,
    allowGroup: false,
  } as const;
  const flag = loadNative().module.openFlag({ ...options, name: `pulse.${process.pid}` });
  open.push(flag);
  flag.join('trainer', 'a');
  const bytes = flag.pulse();
  assert.ok(bytes);
  const [beats, words] = [new BigUint64Array(bytes), new Int32Array(bytes)];
  const shown = () => ({ phase: words[2], limitMs: words[7], beat: beats[0] });
  return { flag, beats, words, shown };
}

const phase = (name: (typeof PHASES)[number]): number => PHASES.indexOf(name);

test('[R-B5] what was set without a slot shows in the slot that comes', () => {
  const pulse = new Pulse();
  pulse.limits = LIMITS;
  pulse.phase = 'training';
  assert.is(pulse.beat(), false);
  const { flag, beats, shown } = joined();
  beats[0] = 0n;
  pulse.attach(flag);
  const { beat, ...rest } = shown();
  assert.equal(rest, { phase: phase('training'), limitMs: 500 });
  assert.ok(beat !== 0n, 'attached without a heartbeat it would be stale at once');
});

test('[R-B5] a change of phase is a heartbeat; detached, nothing is written', () => {
  const pulse = new Pulse();
  const { flag, beats, shown } = joined();
  pulse.limits = LIMITS;
  pulse.attach(flag);
  beats[0] = 0n;
  pulse.phase = 'checkpointing';
  assert.ok(shown().beat !== 0n);
  pulse.detach();
  beats[0] = 0n;
  pulse.phase = 'training';
  assert.is(pulse.beat(), false);
  assert.equal(shown(), { phase: phase('checkpointing'), limitMs: 9000, beat: 0n });
});

test('[R-B5] heartbeat, phase, limit: in this order, also when a limit appears', () => {
  const { flag, beats, words } = joined();
  const order: string[] = [];
  const store = Atomics.store;
  const pulse = new Pulse();
  pulse.limits = LIMITS;
  pulse.attach(flag);
  beats[0] = 0n;
  Object.defineProperty(Atomics, 'store', {
    configurable: true,
    writable: true,
    value(array: Int32Array, index: number, value: number) {
      if (beats[0] !== 0n) order.push('beat');
      order.push(String(index));
      return store(array, index, value);
    },
  });
  try {
    pulse.phase = 'training';
  } finally {
    Object.defineProperty(Atomics, 'store', { configurable: true, writable: true, value: store });
  }
  assert.equal(order, ['beat', '2', 'beat', '7']);
  assert.is(words[7], 500);
});

test('[R-B5] scopes: the innermost phase shows, any suspension suspends, ends come in any order and once', () => {
  const pulse = new Pulse();
  const { flag, shown } = joined();
  pulse.limits = LIMITS;
  pulse.phase = 'training';
  pulse.attach(flag);
  const look = () => [shown().phase, shown().limitMs];
  const endCheckpoint = pulse.enter({ phase: 'checkpointing', suspends: false });
  assert.equal(look(), [phase('checkpointing'), 9000]);
  const endSuspension = pulse.enter({ phase: undefined, suspends: true });
  assert.equal(look(), [phase('checkpointing') | SUSPENDED, 0]);
  endCheckpoint();
  endCheckpoint();
  assert.equal(look(), [phase('training') | SUSPENDED, 0]);
  endSuspension();
  assert.equal(look(), [phase('training'), 500]);
});

test('[R-B5] who leaves begins anew: phase, limits and scopes are of the participation that ended', () => {
  const pulse = new Pulse();
  const first = joined();
  pulse.limits = LIMITS;
  pulse.phase = 'training';
  pulse.attach(first.flag);
  const end = pulse.enter({ phase: 'restoring', suspends: true });
  pulse.leave();
  const next = joined();
  pulse.attach(next.flag);
  end();
  const { beat: _, ...rest } = next.shown();
  assert.equal(rest, { phase: phase('idle'), limitMs: 0 });
  assert.equal(pulse.limits, NO_LIMITS);
});

test.run();
