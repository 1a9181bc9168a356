import { randomUUID } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../../src/leyline/messages.ts';
import { openEmergencySignal } from '../../../src/signals/emergency-signal.ts';
import type { EmergencyRecord } from '../../../src/signals/types.ts';
import { holderOf, raisesBehind } from '../../../src/tolaria/flag-access.ts';

const test = suite('what stands behind a flag');
const {
  EMERGENCY_LEVEL_NOTICE: NOTICE,
  EMERGENCY_LEVEL_CONSERVATIVE: CONSERVATIVE,
  EMERGENCY_LEVEL_HALT: HALT,
} = EmergencyLevel;

function open() {
  const signal = openEmergencySignal(`test-${randomUUID()}`, { kind: 'process-local', keepAlive: false });
  return { signal, behind: () => raisesBehind(signal.history(), signal.read()) };
}
const idsOf = (records: readonly EmergencyRecord[]) => records.map(({ signalId }) => signalId);

test('[R-F7] the raises since the last clear, all of them, and which of them holds the level', () => {
  const { signal, behind } = open();
  assert.equal(behind(), { raises: [], complete: true });
  for (let round = 0; round < 3; round++) {
    const ids = [CONSERVATIVE, HALT, HALT, NOTICE].map((level) => signal.trigger(level));
    const { raises, complete } = behind();
    assert.ok(complete);
    assert.equal(idsOf(raises), ids);
    assert.is(holderOf(signal.history(), signal.read())?.signalId, ids[2]);
    signal.clear(signal.read());
    assert.equal(behind(), { raises: [], complete: true });
  }
  signal.close();
});

test('[R-F7] what came after the caller looked does not count', () => {
  const { signal } = open();
  const first = signal.trigger(CONSERVATIVE);
  const seen = signal.read();
  signal.trigger(HALT);
  const { raises, complete } = raisesBehind(signal.history(), seen);
  assert.ok(complete);
  assert.equal(idsOf(raises), [first]);
  signal.close();
});

test('[R-F7] says when the ring has lost some or one is not applied yet', () => {
  const { signal, behind } = open();
  for (let i = 0; i < 1000; i++) signal.trigger(NOTICE);
  assert.is(behind().complete, false);
  signal.clear(signal.read());
  signal.trigger(NOTICE);
  assert.ok(behind().complete, 'the clear is a new beginning');
  const history = signal.history();
  const pending = { ...(history.at(-1) as EmergencyRecord), generation: 0 };
  assert.is(raisesBehind([...history, pending], signal.read()).complete, false);
  signal.close();
});

test('[R-F7] generations are compared modulo 2^32', () => {
  const { signal } = open();
  signal.trigger(NOTICE);
  const [record] = signal.history() as [EmergencyRecord];
  const at = (kind: 'trigger' | 'clear', generation: number): EmergencyRecord => ({
    ...record,
    kind,
    generation,
  });
  const history = [at('clear', 2 ** 32 - 2), at('trigger', 2 ** 32 - 1), at('trigger', 1), at('trigger', 2)];
  const { raises, complete } = raisesBehind(history, { generation: 2, level: 1 });
  assert.is(raises.length, 3);
  assert.is(complete, false, 'that of generation 0 is missing');
  signal.close();
});

test.run();
