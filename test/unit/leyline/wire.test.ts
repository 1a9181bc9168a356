import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeMessage, encodeMessage } from '../../../src/leyline/codec.ts';
import {
  type EnvelopeContent,
  openEnvelope,
  sealEnvelope,
  sealMessage,
} from '../../../src/leyline/envelope.ts';
import { createKeyRing } from '../../../src/leyline/key-ring.ts';
import { BusEnvelope, BusMessageType } from '../../../src/leyline/messages.ts';
import { codeOf } from '../../fixtures/leyline/thrown.ts';

const test = suite('leyline wire');
const ring = createKeyRing({ current: { id: 'k1', secret: 'secret-0123456789' } });
const TELEMETRY = BusMessageType.BUS_MESSAGE_TYPE_TELEMETRY;

/** What the generated class makes of it. */
function generated({ messageType, payload, attributes = {} }: EnvelopeContent, keyId?: string): string {
  const whole = { messageType, payload, attributes };
  const key = keyId === undefined ? [] : [BusEnvelope.encode({ attributes: { key_id: keyId } }).finish()];
  return Buffer.concat([BusEnvelope.encode(whole).finish(), ...key]).toString('hex');
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('[R-O1] an envelope is what the generated class writes, at every size at which a length takes another byte', () => {
  for (const size of [1, 2, 15, 16, 17, 127, 128, 300, 4000, 4096, 16_383, 16_384, 70_000, 2_097_152]) {
    const payload = Buffer.alloc(size, size & 0xff);
    for (const length of [0, 1, 16, 17, 100, 120, 123, 127, 128, 129, 5000]) {
      const attributes = { stream: 's'.repeat(length), other: 'ü'.repeat(length) };
      const content = { messageType: TELEMETRY, payload, attributes };
      const limits = { maxPayloadBytes: 4_000_000 };
      // A value of before is written from memory: the third time, and again after another one.
      for (let time = 0; time < 3; time++) {
        assert.ok(hex(sealEnvelope(content, ring, limits).payload) === generated(content, 'k1'));
      }
    }
  }
});

test('[R-O1] text at the end of the buffer in which envelopes are written is whole', () => {
  const large = { messageType: TELEMETRY, payload: Buffer.alloc(70_000, 1) };
  for (const value of ['short', '\ud83d', 'of middle length, more than a loop writes', 'ü'.repeat(20)]) {
    for (let size = 4000; size < 4100; size++) {
      const content = { messageType: TELEMETRY, payload: Buffer.alloc(size, 1) };
      // A buffer that grew for one that large is not kept: the next begins with a small one.
      sealEnvelope(large, ring);
      const sealed = sealEnvelope({ ...content, attributes: { k: value } }, ring);
      const expected = generated({ ...content, attributes: { k: value.toWellFormed() } }, 'k1');
      assert.ok(hex(sealed.payload) === expected, `${value} after ${size} bytes`);
    }
  }
});

test('[R-O1] an attribute that stays, changes and comes back is sent as it is each time', () => {
  const payload = Buffer.from('x');
  const values = ['a', 'a', 'a', 'b', 'a', 'b', 'b', '\ud83d', '\ud83d', '\ufffd', '', '', 'a', 'a'];
  for (const stream of values) {
    const { payload: bytes } = sealEnvelope(
      { messageType: TELEMETRY, payload, attributes: { stream, source: 'bench' } },
      undefined,
    );
    assert.is(BusEnvelope.decode(bytes).attributes.stream, stream.toWellFormed());
    const opened = openEnvelope({ payload: bytes, signature: '' }, undefined);
    assert.equal(opened.attributes, { stream: stream.toWellFormed(), source: 'bench' });
  }
});

test('[R-O1] what was sealed stays as it was, whatever is sealed after it', () => {
  const seal = (packetId: string) => sealMessage({ messageType: TELEMETRY, message: { packetId } }, ring);
  const sizes = [1, 300, 5000, 20_000, 200_000, 3, 40_000, 7];
  const entries = sizes.map((size) => seal(String(size % 10).repeat(size)));
  const bytes = encodeMessage(TELEMETRY, { packetId: 'first' });
  encodeMessage(TELEMETRY, { packetId: 'other' });
  assert.is(decodeMessage(TELEMETRY, bytes).packetId, 'first');
  for (const [index, size] of sizes.entries()) {
    const entry = entries[index];
    if (entry === undefined) throw new Error('no entry');
    const { payload } = openEnvelope(entry, ring);
    assert.ok(decodeMessage(TELEMETRY, payload).packetId === String(size % 10).repeat(size));
  }
});

test('[R-O1] a message that seals another while it is read, or throws, harms neither', () => {
  const message = (packetId: string) => ({ packetId, sourceSubsystem: 'x' });
  const expected = hex(encodeMessage(TELEMETRY, message('outer')));
  let inner = '';
  const sealsAnother = {
    ...message('outer'),
    get packetId(): string {
      inner = hex(encodeMessage(TELEMETRY, message('inner')));
      return 'outer';
    },
  };
  assert.is(hex(encodeMessage(TELEMETRY, sealsAnother)), expected);
  assert.is(inner, hex(encodeMessage(TELEMETRY, message('inner'))));
  const throws = {
    ...message('outer'),
    get sourceSubsystem(): string {
      throw new Error('no source');
    },
  };
  assert.throws(() => encodeMessage(TELEMETRY, throws), 'no source');
  assert.is(
    codeOf(() =>
      sealMessage(
        { messageType: TELEMETRY, message: message('outer'), attributes: { constructor: 'x' } as never },
        ring,
      ),
    ),
    'ESPER_LEYLINE_INVALID',
  );
  assert.is(hex(encodeMessage(TELEMETRY, message('outer'))), expected);
});

test('[R-F1] U+FFFD, a byte order mark and text of any length are read as they were sent', () => {
  for (const length of [1, 10, 20, 21, 22, 63, 64, 127, 128, 500, 40_000]) {
    for (const character of ['a', 'ü', '\ufffd', '\ufeff', '€', '😀']) {
      const packetId = character.repeat(length);
      const bytes = encodeMessage(TELEMETRY, { packetId });
      for (const input of [bytes, new Uint8Array(bytes)]) {
        assert.ok(decodeMessage(TELEMETRY, input).packetId === packetId);
      }
      const attributes = { event_id: packetId, [packetId]: 'x' };
      const entry = sealEnvelope({ messageType: TELEMETRY, payload: bytes, attributes }, ring);
      for (const payload of [entry.payload, new Uint8Array(entry.payload)]) {
        assert.equal(openEnvelope({ ...entry, payload }, ring).attributes, { ...attributes, key_id: 'k1' });
      }
    }
  }
});

test('[R-F1][BAD-envelope-truncated] text that is no UTF-8 is refused at any length', () => {
  for (const length of [1, 10, 20, 21, 63, 64, 127, 128, 500]) {
    for (const bad of ['80', 'c328', 'ff', 'eda080', 'f4908080', 'c0af', 'e282']) {
      const text = Buffer.concat([Buffer.alloc(length, 'a'), Buffer.from(bad, 'hex')]);
      const bytes = BusEnvelope.encode({ messageType: TELEMETRY, payload: text }).finish();
      // The same bytes under tag 1 of the packet: its id.
      const packet = Buffer.from(bytes.subarray(2));
      packet[0] = (1 << 3) | 2;
      assert.is(
        codeOf(() => decodeMessage(TELEMETRY, packet)),
        'ESPER_LEYLINE_TRUNCATED',
        `${length} and ${bad}`,
      );
    }
  }
});

test('[R-F1] a field that stands where another usually does is not taken for it', () => {
  const opened = (bytes: string) =>
    openEnvelope({ payload: Buffer.from(bytes, 'hex'), signature: '' }, undefined);
  // Field 7 in the payload's place, then in an attribute's; a payload before its type; an attribute before the payload.
  assert.is(hex(opened('08043a0161').payload), '');
  assert.equal(opened('08041201613a060a016b120176').attributes, {});
  for (const bytes of ['1201610804', '08041a060a016b120176120161', '0804120162120161']) {
    assert.is(hex(opened(bytes).payload), '61', bytes);
  }
  assert.equal(opened('08041a060a016b120176120161').attributes, { k: 'v' });
});

test('[R-O1][BAD-envelope-truncated] an envelope is refused under the code of what the generated class finds', () => {
  const refusals: readonly (readonly [string, string])[] = [
    // Type 2307, then a field 0.
    ['0883120161', 'ESPER_LEYLINE_TRUNCATED'],
    // A type without a name around a whole message.
    ['0863120161', 'ESPER_LEYLINE_UNKNOWN_TYPE'],
    ['0800120161', 'ESPER_LEYLINE_UNKNOWN_TYPE'],
    ['0804120261', 'ESPER_LEYLINE_TRUNCATED'],
    // An attribute that ends where its value has one more byte to come.
    ['08041201611a060a016b120261', 'ESPER_LEYLINE_TRUNCATED'],
    ['08041201611a050a016b120261', 'ESPER_LEYLINE_TRUNCATED'],
  ];
  for (const [bytes, code] of refusals) {
    const payload = Buffer.from(bytes, 'hex');
    assert.is(
      codeOf(() => openEnvelope({ payload, signature: '' }, undefined)),
      code,
      bytes,
    );
  }
});

test.run();
