import { createHash } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeMessage, encodeMessage } from '../../../src/leyline/codec.ts';
import {
  buildEmergencySignal,
  clearAttributes,
  clearedSignalId,
  type EmergencyInput,
  emergencyChecksum,
  readEmergencySignal,
} from '../../../src/leyline/emergency.ts';
import { BusMessageType, EmergencyLevel, EmergencySignal } from '../../../src/leyline/messages.ts';
import { codeOf } from '../../fixtures/leyline/thrown.ts';

const test = suite('leyline emergency');
const EMERGENCY = BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL;

const input: EmergencyInput = {
  level: EmergencyLevel.EMERGENCY_LEVEL_CONSERVATIVE,
  reason: 'loss 15 × baseline',
  origin: 'tolaria.guard',
  runId: 'run-1',
  step: 4711,
  signalId: 'host:4242:7',
  bootId: '0d7e4a52',
  monotonicNs: 123_456_789_012_345_678n,
  wallMs: 1_763_700_000_123,
  attributes: { phase: 'backward', a: '1' },
};

const through = (message: EmergencySignal): EmergencySignal =>
  decodeMessage(EMERGENCY, encodeMessage(EMERGENCY, message));

test('[R-F1] what was built is what is read, before and after the wire', () => {
  const built = buildEmergencySignal(input);
  for (const message of [built, through(built)]) {
    const fields = readEmergencySignal(message);
    assert.equal({ ...fields }, { ...input });
    assert.ok(Object.isFrozen(fields) && Object.isFrozen(fields.attributes));
  }
});

for (const level of [1, 2, 3, 4] as const) {
  test(`[R-F1] level ${level} is built, sent and read`, () => {
    assert.is(readEmergencySignal(through(buildEmergencySignal({ ...input, level }))).level, level);
  });
}

test('[R-F1] both monotonic fields say the same; a peer may set only the milliseconds', () => {
  const built = buildEmergencySignal(input);
  assert.is(String(built.monotonicTimeMs), '123456789012');
  const peer = EmergencySignal.create({ level: 4, monotonicTimeMs: 5000 });
  assert.is(readEmergencySignal(through(peer)).monotonicNs, 5_000_000_000n);
});

test('[R-F1] a peer step beyond a safe integer is cut to the largest one', () => {
  const huge = EmergencySignal.decode(Buffer.from('10049801ffffffffffffffffff01', 'hex'));
  assert.is(readEmergencySignal(huge).step, Number.MAX_SAFE_INTEGER);
});

test('[BAD-level-0][BAD-level-9] a level outside 1 to 4 is not built', () => {
  for (const level of [0, 5, 9, -1, 1.5, Number.NaN, '4', 'EMERGENCY_LEVEL_HALT', undefined, null]) {
    const bad = { ...input, level: level as EmergencyLevel };
    assert.is(
      codeOf(() => buildEmergencySignal(bad)),
      'ESPER_OPTION_INVALID',
      String(level),
    );
  }
});

test('[R-F1] fields out of range or of the wrong type are refused when it is built', () => {
  const bad: readonly object[] = [
    { step: -1 },
    { step: 1.5 },
    { step: 2 ** 53 },
    { monotonicNs: -1n },
    { monotonicNs: 5 },
    { monotonicNs: 2n ** 64n },
    { wallMs: Number.NaN },
    { wallMs: Number.POSITIVE_INFINITY },
    { signalId: '' },
    { reason: 5 },
    { raeson: 'x' },
  ];
  for (const change of bad) {
    const given = { ...input, ...change } as EmergencyInput;
    assert.is(
      codeOf(() => buildEmergencySignal(given)),
      'ESPER_OPTION_INVALID',
      Object.keys(change)[0],
    );
  }
  const attributes = { n: 5 } as unknown as Record<string, string>;
  assert.is(
    codeOf(() => buildEmergencySignal({ ...input, attributes })),
    'ESPER_LEYLINE_INVALID',
  );
});

test('[BAD-reason-nul][BAD-reason-split-surrogate][BAD-reason-10kb] odd reasons travel; a split surrogate arrives as U+FFFD', () => {
  const sent = (reason: string) =>
    readEmergencySignal(through(buildEmergencySignal({ ...input, reason }))).reason;
  assert.is(sent('a\0b'), 'a\0b');
  assert.is(sent('cut \ud83d'), 'cut \ufffd');
  assert.is(sent(`${'long'.repeat(100)} \ude00 cut`), `${'long'.repeat(100)} \ufffd cut`);
  assert.is(sent('ü'.repeat(5120)), 'ü'.repeat(5120));
});

test('[R-F1] the checksum is SHA-256 over the sorted key=value lines, and is accepted', () => {
  const attributes = { b: '2', Z: 'ü', a: '1', 'a!': '0', '😀': 'astral', '\uffee': 'below astral' };
  const lines = ['Z=ü', 'a!=0', 'a=1', 'b=2', '\uffee=below astral', '😀=astral'].join('\n');
  const expected = createHash('sha256').update(lines, 'utf8').digest();
  assert.equal(Buffer.from(emergencyChecksum(attributes)), expected);
  const message = through(buildEmergencySignal({ ...input, attributes, checksum: true }));
  assert.equal(Buffer.from(message.payloadChecksum), expected);
  assert.equal(readEmergencySignal(message).attributes, attributes);
});

test('[R-F1] a checksum over lines that all end in a line feed is accepted too', () => {
  const payloadChecksum = createHash('sha256').update('a=1\nphase=backward\n', 'utf8').digest();
  const message = through(EmergencySignal.create({ ...buildEmergencySignal(input), payloadChecksum }));
  assert.is(readEmergencySignal(message).signalId, input.signalId);
});

test('[R-F1] a checksum that does not fit is refused; none at all is fine', () => {
  const good = through(buildEmergencySignal({ ...input, checksum: true }));
  const changes: readonly (() => void)[] = [
    () => Object.assign(good, { attributes: { ...good.attributes, phase: 'forward' } }),
    () => Object.assign(good, { attributes: {} }),
    () => Object.assign(good, { payloadChecksum: good.payloadChecksum.subarray(1) }),
    () => Object.assign(good, { payloadChecksum: Buffer.alloc(32) }),
  ];
  assert.ok(readEmergencySignal(good));
  for (const change of changes) {
    change();
    assert.is(
      codeOf(() => readEmergencySignal(good)),
      'ESPER_LEYLINE_CHECKSUM_MISMATCH',
    );
  }
  assert.is(through(buildEmergencySignal(input)).payloadChecksum.length, 0);
});

test('[R-F1] a clear is a notice that older peers can read', () => {
  const attributes = clearAttributes('host:4242:7');
  assert.equal(attributes, { action: 'clear', cleared: 'host:4242:7' });
  const level = EmergencyLevel.EMERGENCY_LEVEL_NOTICE;
  const fields = readEmergencySignal(through(buildEmergencySignal({ ...input, level, attributes })));
  assert.is(clearedSignalId(fields), 'host:4242:7');
  assert.is(clearedSignalId(readEmergencySignal(buildEmergencySignal(input))), undefined);
  assert.is(clearedSignalId({ attributes: { action: 'clear', cleared: '' } }), undefined);
  assert.is(clearedSignalId({ attributes: { cleared: 'x' } }), undefined);
});

test('[R-F1] attribute __proto__ of a peer survives reading, and changes no prototype', () => {
  const attributes = JSON.parse('{"__proto__": "evil", "a": "1"}') as Record<string, string>;
  const fields = readEmergencySignal(through(EmergencySignal.create({ level: 1, attributes })));
  assert.equal(Object.entries(fields.attributes), [
    ['__proto__', 'evil'],
    ['a', '1'],
  ]);
  assert.is(Object.getPrototypeOf(fields.attributes), Object.prototype);
});

test.run();
