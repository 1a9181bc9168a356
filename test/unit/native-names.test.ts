import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { AttachError } from '../../src/native/errors.ts';
import { MAX_NAME_LENGTH, requireName } from '../../src/native/names.ts';
import { openEmergencySignal, openLatencyHistogram, openRollbackSignal } from '../../src/signals/index.ts';

const test = suite('segment names');

const refused = (name: unknown): void => {
  const isBadName = (error: unknown) => error instanceof AttachError && error.code === 'ESPER_SHM_BAD_NAME';
  assert.throws(() => requireName(name as string), isBadName);
  for (const open of [openEmergencySignal, openRollbackSignal, openLatencyHistogram]) {
    assert.throws(() => open(name as string), isBadName);
    assert.throws(() => open(name as string, { kind: 'process-local' }), isBadName);
  }
};

test('[R-F9] letters, digits, dot, dash and underscore make a name', () => {
  for (const name of ['a', 'run-7', 'A.b_c-9', '_x', '-', '0', 'x'.repeat(MAX_NAME_LENGTH)]) {
    assert.is(requireName(name), name);
  }
});

test('[BAD-name-slash] a name never leaves its directory', () => {
  for (const name of ['a/b', '/', '../x', '..', '.', '.hidden', 'a\\b', 'a b', 'a\0', 'é', 'a\n'])
    refused(name);
});

test('[BAD-name-empty] an empty name and one that is no string', () => {
  for (const name of ['', undefined, null, 7, {}]) refused(name);
});

test('[BAD-name-long] 201 and 300 characters', () => {
  refused('x'.repeat(MAX_NAME_LENGTH + 1));
  refused('x'.repeat(300));
});

test.run();
