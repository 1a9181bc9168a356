import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../../src/leyline/messages.ts';
import { openEmergencySignal } from '../../../src/signals/emergency-signal.ts';
import type { EmergencyRecord } from '../../../src/signals/types.ts';
import { precedes, uncovered } from '../../../src/weatherlight/clear-coverage.ts';
import { uniqueName } from '../../helpers/weatherlight.ts';

const test = suite('weatherlight clear coverage');
const {
  EMERGENCY_LEVEL_NOTICE: NOTICE,
  EMERGENCY_LEVEL_CONSERVATIVE: CONSERVATIVE,
  EMERGENCY_LEVEL_HALT: HALT,
} = EmergencyLevel;
const SEGMENT = 'a'.repeat(32);
const OTHER = 'b'.repeat(32);
const never = (): boolean => false;

/** Records as a ring holds them after these triggers. */
function raised(
  ...triggers: readonly (readonly [level: EmergencyLevel, signalId: string])[]
): EmergencyRecord[] {
  const signal = openEmergencySignal(uniqueName('coverage'), { kind: 'process-local', keepAlive: false });
  for (const [level, remoteSignalId] of triggers) signal.trigger(level, { remoteSignalId });
  const records = signal.history();
  signal.close();
  return records;
}

function left(
  records: readonly EmergencyRecord[],
  clearedSignalId: string,
  signalId = `${OTHER}-ff`,
): string[] {
  return uncovered(records, { signalId, clearedSignalId }, never).map((record) => record.signalId);
}

test('[R-F3] the named emergency is covered', () => {
  assert.equal(left(raised([HALT, 'x']), 'x'), []);
});

test('[R-F3] an emergency that the sender never heard of is not', () => {
  assert.equal(left(raised([CONSERVATIVE, 'x'], [HALT, 'y']), 'x'), ['y']);
  assert.equal(left(raised([HALT, 'y'], [CONSERVATIVE, 'x']), 'x'), ['y']);
});

test('[R-F3] levels that never leave their host do not hold a clear up', () => {
  assert.equal(left(raised([HALT, 'x'], [NOTICE, 'n']), 'x'), []);
});

test("[R-F3] the sender's own earlier emergencies are covered, its later ones are not", () => {
  const records = raised([CONSERVATIVE, `${SEGMENT}-3`], [HALT, `${SEGMENT}-4`], [HALT, `${SEGMENT}-6`]);
  assert.equal(left(records, `${SEGMENT}-4`, `${SEGMENT}-5`), [`${SEGMENT}-6`]);
});

test('[R-F3] what an earlier clear named is covered', () => {
  const records = raised([HALT, 'x'], [HALT, 'y']);
  const clear = { signalId: `${OTHER}-1`, clearedSignalId: 'y' };
  assert.equal(
    uncovered(records, clear, (id) => id === 'x'),
    [],
  );
});

test('[R-F3] ids are ordered only within one segment, by their ticket as a number', () => {
  assert.ok(precedes(`${SEGMENT}-9`, `${SEGMENT}-a`));
  assert.ok(precedes(`${SEGMENT}-f`, `${SEGMENT}-10`));
  assert.not(precedes(`${SEGMENT}-10`, `${SEGMENT}-f`));
  assert.not(precedes(`${SEGMENT}-1`, `${OTHER}-2`));
  assert.not(precedes('peer-made-this', `${OTHER}-2`));
});

test('[R-F3] the ids that the flag makes are of that form', () => {
  const signal = openEmergencySignal(uniqueName('ids'), { kind: 'process-local', keepAlive: false });
  const [first, second] = [signal.trigger(HALT), signal.trigger(HALT)];
  signal.close();
  assert.ok(precedes(first, second));
  assert.not(precedes(second, first));
});

test.run();
