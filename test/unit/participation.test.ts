import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../src/leyline/messages.ts';
import type { NativeFlag, NativeModule } from '../../src/native/contract.ts';
import { createTwin } from '../../src/native/twin.ts';
import { openEmergencySignal } from '../../src/signals/index.ts';

const test = suite('what a signal asks of its flag');
const { EMERGENCY_LEVEL_HALT: HALT } = EmergencyLevel;

/** A signal on the twin; `seen` is told of every call of the flag's methods. */
function spied(seen: (method: string, args: readonly unknown[]) => void, answers: object = {}) {
  const twin = createTwin();
  const openFlag: NativeModule['openFlag'] = (options) =>
    new Proxy(twin.openFlag(options), {
      get(flag: NativeFlag, key) {
        if (key in answers) return (answers as Record<PropertyKey, unknown>)[key];
        const value: unknown = Reflect.get(flag, key, flag);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => {
          seen(String(key), args);
          return (value as (...given: unknown[]) => unknown).apply(flag, args);
        };
      },
    });
  const native = { ...twin, openFlag } as NativeModule;
  return openEmergencySignal(`spied-${process.pid}`, { kind: 'process-local', native, keepAlive: false });
}

test('[R-B1] whoever triggers gives way to the woken: trigger at once, raise after its caller was told', () => {
  const calls: string[] = [];
  const signal = spied((method, args) => {
    if (method === 'raise') calls.push(`raise ${String(args.at(-1))}`);
    if (method === 'giveWay' || method === 'trigger') calls.push(method);
  });
  signal.trigger(HALT);
  assert.equal(calls.splice(0), ['raise true']);
  signal.trigger(HALT, { remoteSignalId: 'other-host-1' });
  assert.equal(calls.splice(0), ['trigger', 'giveWay']);
  signal.raise(HALT, {}, () => calls.push('told'));
  assert.equal(calls.splice(0), ['raise false', 'told', 'giveWay']);
  const thrower = (): void => {
    throw new Error('told');
  };
  assert.throws(() => signal.raise(HALT, {}, thrower), /told/);
  assert.equal(calls.splice(0), ['raise false', 'giveWay']);
  signal.close();
});

test('[R-B6] overruns are told in milliseconds, each under its own name', () => {
  const ns = { armed: 1, fired: 2, overrunMaxNs: 5e6, overrunP50Ns: 3e6, overrunP99Ns: 4e6 };
  const signal = spied(() => undefined, { deadlineStats: () => ns });
  assert.equal(signal.deadlineStats(), {
    armed: 1,
    fired: 2,
    overrunMaxMs: 5,
    overrunP50Ms: 3,
    overrunP99Ms: 4,
  });
  signal.close();
});

test.run();
