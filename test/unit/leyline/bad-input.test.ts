import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FastpathError } from '../../../src/core/errors.ts';
import { decodeMessage, encodeMessage } from '../../../src/leyline/codec.ts';
import { buildEmergencySignal, readEmergencySignal } from '../../../src/leyline/emergency.ts';
import { openEnvelope, type SignedEntry, sealEnvelope } from '../../../src/leyline/envelope.ts';
import { LeylineError, SignatureError } from '../../../src/leyline/errors.ts';
import { createKeyRing, type KeyRing } from '../../../src/leyline/key-ring.ts';
import { BusMessageType, EmergencyLevel } from '../../../src/leyline/messages.ts';
import { codeOf, thrownBy } from '../../fixtures/leyline/thrown.ts';
import { dataField, varintField } from '../../fixtures/leyline/wire.ts';

const test = suite('leyline bad input');
const EMERGENCY = BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL;
const ring = createKeyRing({ current: { id: 'k1', secret: 'secret-0123456789' } });
const other = createKeyRing({ current: { id: 'k1', secret: 'another-0123456789' } });
const MIB = 1024 * 1024;

const emergency = (signalId: string) =>
  buildEmergencySignal({
    level: EmergencyLevel.EMERGENCY_LEVEL_HALT,
    reason: 'test',
    origin: 'test',
    runId: 'run',
    step: 1,
    signalId,
    bootId: 'boot',
    monotonicNs: 1n,
    wallMs: 1,
  });

function sealed(signalId: string, keys: KeyRing | 'unsigned' = ring): SignedEntry {
  const payload = encodeMessage(EMERGENCY, emergency(signalId));
  return sealEnvelope({ messageType: EMERGENCY, payload }, keys === 'unsigned' ? undefined : keys);
}

const signed = (payload: Uint8Array): SignedEntry => ({ payload, signature: ring.sign(payload) });

/** What a consumer does with one entry: the signal id, or the code of the refusal. */
function consume(entry: SignedEntry): string {
  try {
    const { messageType, payload } = openEnvelope(entry, ring);
    const message = decodeMessage(messageType, payload);
    return readEmergencySignal(message as ReturnType<typeof emergency>).signalId;
  } catch (error) {
    if (!(error instanceof FastpathError)) throw error;
    return error.code;
  }
}

/** Each bad entry is refused under its own code, and the entries around it are read. */
function refusedAmongGood(bad: SignedEntry, code: string): void {
  assert.equal([sealed('before'), bad, sealed('after')].map(consume), ['before', code, 'after']);
}

test('[BAD-envelope-empty] no bytes are refused before anything else is looked at', () => {
  refusedAmongGood({ payload: new Uint8Array(), signature: '' }, 'ESPER_LEYLINE_EMPTY');
  refusedAmongGood(signed(new Uint8Array()), 'ESPER_LEYLINE_EMPTY');
  assert.is(
    codeOf(() => openEnvelope({ payload: new Uint8Array(), signature: '' }, undefined)),
    'ESPER_LEYLINE_EMPTY',
  );
});

test('[BAD-envelope-empty] an envelope around no message, and a message without a field, are refused', () => {
  refusedAmongGood(signed(varintField(1, EMERGENCY)), 'ESPER_LEYLINE_EMPTY');
  assert.is(
    codeOf(() => encodeMessage(EMERGENCY, {})),
    'ESPER_LEYLINE_EMPTY',
  );
});

test('[BAD-envelope-truncated] cut anywhere, a signed envelope is refused by its signature', () => {
  const { payload, signature } = sealed('whole');
  for (let length = 1; length < payload.length; length++) {
    refusedAmongGood({ payload: payload.subarray(0, length), signature }, 'ESPER_LEYLINE_SIGNATURE_MISMATCH');
  }
});

test('[BAD-envelope-truncated] cut anywhere but between fields, unsigned bytes are refused as truncated', () => {
  const { payload } = sealed('whole', 'unsigned');
  let refused = 0;
  for (let length = 1; length < payload.length; length++) {
    const cut = payload.subarray(0, length);
    try {
      openEnvelope({ payload: cut, signature: '' }, undefined);
      assert.is(length, 2, 'only the message type is whole');
    } catch (error) {
      assert.instance(error, LeylineError);
      assert.is((error as LeylineError).code, 'ESPER_LEYLINE_TRUNCATED');
      refused++;
    }
  }
  assert.is(refused, payload.length - 2);
});

test('[BAD-envelope-truncated] a truncated message inside a whole, signed envelope is refused as truncated', () => {
  const message = encodeMessage(EMERGENCY, emergency('inner'));
  const entry = sealEnvelope(
    { messageType: EMERGENCY, payload: message.subarray(0, message.length - 1) },
    ring,
  );
  // The last field, step, loses its value: a tag without one.
  refusedAmongGood(entry, 'ESPER_LEYLINE_TRUNCATED');
});

test('[BAD-envelope-truncated] lengths beyond the end, endless varints, invalid UTF-8 and deep nesting are refused', () => {
  const bad: readonly Buffer[] = [
    Buffer.from('1affffffff07', 'hex'),
    Buffer.from('1affffffffffffffffff01', 'hex'),
    Buffer.alloc(64, 0xff),
    Buffer.concat([Buffer.from([0x08]), Buffer.alloc(11, 0x80)]),
    Buffer.from('1a02c328', 'hex'),
    Buffer.from('7b', 'hex'), // a group that never ends
    Buffer.from('7c', 'hex'), // the end of a group that never began
    Buffer.from('07', 'hex'), // wire type 7
    Buffer.from('00', 'hex'), // field number 0
  ];
  for (const bytes of bad) {
    const error = thrownBy(() => decodeMessage(EMERGENCY, bytes));
    assert.is(error.code, 'ESPER_LEYLINE_TRUNCATED', bytes.toString('hex'));
    assert.ok(error.cause instanceof Error);
  }
  const command = BusMessageType.BUS_MESSAGE_TYPE_ADAPTATION_COMMAND;
  const struct = dataField(
    13,
    dataField(1, Buffer.concat([dataField(1, 'k'), dataField(2, nestedLists(500))])),
  );
  assert.is(
    codeOf(() => decodeMessage(command, struct)),
    'ESPER_LEYLINE_TRUNCATED',
  );
});

/** A google.protobuf.Value that is a list of a list of … */
function nestedLists(depth: number): Buffer {
  let value = Buffer.alloc(0);
  for (let i = 0; i < depth; i++) value = dataField(6, dataField(1, value)) as Buffer<ArrayBuffer>;
  return value;
}

test('[BAD-envelope-64mib] too many bytes are refused before they are hashed or decoded', () => {
  // Decoding these would be _TRUNCATED, verifying them _SIGNATURE_MISMATCH: the size was looked at first.
  const payload = Buffer.alloc(64 * MIB, 0xff);
  refusedAmongGood({ payload, signature: `${'A'.repeat(43)}=` }, 'ESPER_LEYLINE_TOO_LARGE');
  assert.is(
    codeOf(() => decodeMessage(EMERGENCY, payload)),
    'ESPER_LEYLINE_TOO_LARGE',
  );
  const error = thrownBy(() => openEnvelope({ payload, signature: '' }, undefined));
  assert.is(error.code, 'ESPER_LEYLINE_TOO_LARGE');
  assert.match(error.message, /67108864 bytes, maxPayloadBytes is 1048576/);
});

test('[BAD-envelope-64mib] the limit itself is allowed, and a reader may raise it', () => {
  const padded = (size: number) => {
    const head = varintField(1, EMERGENCY);
    const inner = varintField(2, 4);
    const message = dataField(2, inner);
    const tagAndLength = 2 + 3;
    const filler = Buffer.alloc(size - head.length - message.length - tagAndLength);
    const payload = Buffer.concat([head, message, dataField(99, filler)]);
    assert.is(payload.length, size);
    return signed(payload);
  };
  assert.ok(openEnvelope(padded(MIB), ring));
  assert.is(
    codeOf(() => openEnvelope(padded(MIB + 1), ring)),
    'ESPER_LEYLINE_TOO_LARGE',
  );
  assert.ok(openEnvelope(padded(MIB + 1), ring, { maxPayloadBytes: MIB + 1 }));
});

test('[BAD-envelope-unsigned] an entry without signature is refused where there is a key ring', () => {
  refusedAmongGood(sealed('x', 'unsigned'), 'ESPER_LEYLINE_SIGNATURE_MISSING');
});

test('[BAD-envelope-other-key] an entry signed with another key is refused, whatever key id it claims', () => {
  refusedAmongGood(sealed('foreign', other), 'ESPER_LEYLINE_SIGNATURE_MISMATCH');
});

test('[BAD-signature-non-ascii] a signature that is not ASCII is refused as malformed', () => {
  const { payload, signature } = sealed('x');
  const replaced = [
    `ü${signature.slice(1)}`,
    `${signature.slice(0, 43)}＝`,
    '😀'.repeat(22),
    `\0${signature.slice(1)}`,
    Buffer.from(ring.sign(payload), 'base64').toString('latin1'),
  ];
  for (const bad of replaced) {
    refusedAmongGood({ payload, signature: bad }, 'ESPER_LEYLINE_SIGNATURE_MALFORMED');
    const error = thrownBy(() => openEnvelope({ payload, signature: bad }, ring));
    assert.instance(error, SignatureError);
  }
});

test('[BAD-unknown-message-type] a type without a name, or none at all, is refused', () => {
  for (const type of [11, 29, 32, 9999]) {
    const entry = signed(Buffer.concat([varintField(1, type), dataField(2, 'payload')]));
    refusedAmongGood(entry, 'ESPER_LEYLINE_UNKNOWN_TYPE');
    assert.is(
      codeOf(() => openEnvelope(entry, ring)),
      'ESPER_LEYLINE_UNKNOWN_TYPE',
    );
  }
  refusedAmongGood(signed(dataField(2, 'no type')), 'ESPER_LEYLINE_UNKNOWN_TYPE');
  const negative = varintField(1, 0xffff_ffff_ffff_ffffn); // -1 on the wire
  refusedAmongGood(signed(Buffer.concat([negative, dataField(2, 'x')])), 'ESPER_LEYLINE_UNKNOWN_TYPE');
});

test('[BAD-unknown-message-type] types that have no message here are refused by the codec and by sealing', () => {
  const peers = BusMessageType.BUS_MESSAGE_TYPE_BENCHMARK_REPORT;
  refusedAmongGood(
    sealEnvelope({ messageType: peers, payload: Buffer.from('x') }, ring),
    'ESPER_LEYLINE_UNKNOWN_TYPE',
  );
  for (const type of [0, 11, 1.5, Number.NaN, 'BUS_MESSAGE_TYPE_TELEMETRY', 'constructor', undefined]) {
    const messageType = type as BusMessageType;
    assert.is(
      codeOf(() => sealEnvelope({ messageType, payload: Buffer.from('x') }, ring)),
      'ESPER_LEYLINE_UNKNOWN_TYPE',
    );
    assert.is(
      codeOf(() => decodeMessage(messageType, Buffer.from('x'))),
      'ESPER_LEYLINE_UNKNOWN_TYPE',
    );
  }
});

test('[BAD-unknown-enum-value][R-F1] an emergency of unknown level is not obeyed, and its bytes are kept', () => {
  for (const level of [9, 5, 0xffff_ffff_ffff_ffffn]) {
    const bytes = Buffer.concat([varintField(1, 1), varintField(2, level), dataField(3, 'why')]);
    refusedAmongGood(
      sealEnvelope({ messageType: EMERGENCY, payload: bytes }, ring),
      'ESPER_LEYLINE_UNKNOWN_ENUM',
    );
    const message = decodeMessage(EMERGENCY, bytes);
    assert.is(Buffer.from(encodeMessage(EMERGENCY, message)).toString('hex'), bytes.toString('hex'));
  }
  const unset = Buffer.concat([varintField(1, 1), dataField(3, 'no level')]);
  refusedAmongGood(
    sealEnvelope({ messageType: EMERGENCY, payload: unset }, ring),
    'ESPER_LEYLINE_UNKNOWN_ENUM',
  );
});

test.run();
