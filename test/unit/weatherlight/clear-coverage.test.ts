import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../../src/leyline/messages.ts';
import { openEmergencySignal } from '../../../src/signals/emergency-signal.ts';
import type { EmergencyRecord } from '../../../src/signals/types.ts';
import { uncovered } from '../../../src/weatherlight/clear-coverage.ts';
import { uniqueName } from '../../helpers/weatherlight.ts';

const test = suite('weatherlight clear coverage');
const {
  EMERGENCY_LEVEL_NOTICE: NOTICE,
  EMERGENCY_LEVEL_CONSERVATIVE: CONSERVATIVE,
  EMERGENCY_LEVEL_HALT: HALT,
} = EmergencyLevel;
const SEGMENT = 'a'.repeat(32);
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
  alsoCleared: readonly string[] = [],
): string[] {
  return uncovered(records, { clearedSignalId, alsoCleared }, never).map((record) => record.signalId);
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

test('[R-F3] everything that the clear names is covered, and nothing for looking older by its ticket', () => {
  const records = raised([CONSERVATIVE, `${SEGMENT}-3`], [HALT, `${SEGMENT}-4`], [HALT, `${SEGMENT}-6`]);
  assert.equal(left(records, `${SEGMENT}-6`, [`${SEGMENT}-3`]), [`${SEGMENT}-4`]);
  assert.equal(left(records, `${SEGMENT}-6`, [`${SEGMENT}-3`, `${SEGMENT}-4`]), []);
});

test('[R-F3] what an earlier clear named is covered', () => {
  const records = raised([HALT, 'x'], [HALT, 'y']);
  const clear = { clearedSignalId: 'y', alsoCleared: [] };
  assert.equal(
    uncovered(records, clear, (id) => id === 'x'),
    [],
  );
});

test.run();
