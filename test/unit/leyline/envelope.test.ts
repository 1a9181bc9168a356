import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeMessage } from '../../../src/leyline/codec.ts';
import {
  type EnvelopeContent,
  type MessageContent,
  openEnvelope,
  sealEnvelope,
  sealMessage,
} from '../../../src/leyline/envelope.ts';
import { createKeyRing } from '../../../src/leyline/key-ring.ts';
import { BusEnvelope, BusMessageType } from '../../../src/leyline/messages.ts';
import { codeOf, thrownBy } from '../../fixtures/leyline/thrown.ts';
import { dataField, mapEntry, varintField } from '../../fixtures/leyline/wire.ts';

const test = suite('leyline envelope');
const ring = createKeyRing({ current: { id: 'k1', secret: 'secret-0123456789' } });
const TELEMETRY = BusMessageType.BUS_MESSAGE_TYPE_TELEMETRY;
const payload = encodeMessage(TELEMETRY, { packetId: 'p-1' });

test('[R-O1] what was sealed opens: type, payload, attributes, and the key that signed', () => {
  const entry = sealEnvelope(
    { messageType: TELEMETRY, payload, attributes: { stream: 'oona.normal' } },
    ring,
  );
  const opened = openEnvelope(entry, ring);
  assert.is(opened.messageType, TELEMETRY);
  assert.equal(Buffer.from(opened.payload), Buffer.from(payload));
  assert.equal(opened.attributes, { stream: 'oona.normal', key_id: 'k1' });
  assert.is(opened.keyId, 'k1');
  assert.ok(Object.isFrozen(opened) && Object.isFrozen(opened.attributes));
});

test('[R-O1] what is signed is what is sent: the key id travels inside', () => {
  const attributes = { key_id: 'somebody else' };
  const entry = sealEnvelope({ messageType: TELEMETRY, payload, attributes }, ring);
  assert.is(BusEnvelope.decode(entry.payload).attributes.key_id, 'k1');
  assert.is(entry.signature, ring.sign(entry.payload));
  assert.is(attributes.key_id, 'somebody else');
});

test('[R-O1] an unsigned bus seals without a signature and looks at none', () => {
  const entry = sealEnvelope({ messageType: TELEMETRY, payload }, undefined);
  assert.is(entry.signature, '');
  const opened = openEnvelope({ payload: entry.payload, signature: 'anything ü' }, undefined);
  assert.is(opened.keyId, undefined);
  assert.equal(opened.attributes, {});
});

test('[R-O1] message types of peers pass, although they have no message here', () => {
  const messageType = BusMessageType.BUS_MESSAGE_TYPE_BSDS_ISSUED;
  const entry = sealEnvelope({ messageType, payload: Buffer.from('opaque') }, ring);
  assert.is(openEnvelope(entry, ring).messageType, messageType);
});

test('[R-O1] a payload that receivers would refuse is refused when it is sealed', () => {
  const content = { messageType: TELEMETRY, payload: new Uint8Array(1000) };
  assert.ok(sealEnvelope(content, ring, { maxPayloadBytes: 1100 }));
  for (const maxPayloadBytes of [999, 1000]) {
    assert.is(
      codeOf(() => sealEnvelope(content, ring, { maxPayloadBytes })),
      'ESPER_LEYLINE_TOO_LARGE',
    );
  }
  const none = { ...content, payload: new Uint8Array() };
  assert.is(
    codeOf(() => sealEnvelope(none, ring)),
    'ESPER_LEYLINE_EMPTY',
  );
});

test('[R-O1] a message sealed in one go is the same bytes and signature as one encoded before', () => {
  // Around the sizes at which lengths take another byte, and beyond a writer's first buffer.
  for (const size of [0, 1, 100, 127, 128, 1000, 16_383, 16_384, 100_000]) {
    const message = { packetId: 'ü'.repeat(size), sourceSubsystem: 'x' };
    for (const attributes of [undefined, {}, { reason: '\ud83d', key_id: 'other' }]) {
      const more = attributes === undefined ? {} : { attributes };
      for (const keys of [ring, undefined]) {
        const before = { messageType: TELEMETRY, payload: encodeMessage(TELEMETRY, message), ...more };
        assert.equal(
          sealMessage({ messageType: TELEMETRY, message, ...more }, keys),
          sealEnvelope(before, keys),
        );
      }
    }
  }
});

test('[R-O1] a message sealed in one go is refused for what either step refuses', () => {
  const message = { packetId: 'p' };
  const bad: readonly (readonly [string, object, object?])[] = [
    ['ESPER_LEYLINE_EMPTY', { messageType: TELEMETRY, message: {} }],
    ['ESPER_LEYLINE_INVALID', { messageType: TELEMETRY, message: { packetId: 7 } }],
    ['ESPER_LEYLINE_INVALID', { messageType: TELEMETRY, message, attributes: { level: 4 } }],
    ['ESPER_LEYLINE_UNKNOWN_TYPE', { messageType: BusMessageType.BUS_MESSAGE_TYPE_BSDS_ISSUED, message }],
    ['ESPER_LEYLINE_UNKNOWN_TYPE', { messageType: 0, message }],
    ['ESPER_LEYLINE_TOO_LARGE', { messageType: TELEMETRY, message }, { maxPayloadBytes: 10 }],
    ['ESPER_OPTION_INVALID', { messageType: TELEMETRY, message }, { maxPayload: 10 }],
  ];
  for (const [code, content, limits] of bad) {
    const seal = (): unknown => sealMessage(content as MessageContent<typeof TELEMETRY>, ring, limits);
    assert.is(codeOf(seal), code);
  }
});

test('[R-O1] limits are options like all others: unknown ones and values out of range are refused', () => {
  const entry = sealEnvelope({ messageType: TELEMETRY, payload }, ring);
  const limits: readonly object[] = [
    { maxPayload: 1 },
    { maxPayloadBytes: 0 },
    { maxPayloadBytes: Number.NaN },
  ];
  for (const bad of limits) {
    assert.is(
      codeOf(() => openEnvelope(entry, ring, bad)),
      'ESPER_OPTION_INVALID',
    );
  }
});

test('[R-O1] attributes to be sent must be strings under names that are safe to copy', () => {
  const bad: readonly object[] = [
    { level: 4 },
    { reason: undefined },
    { nested: {} },
    JSON.parse('{"__proto__": "x"}'),
    { constructor: 'x' },
    { prototype: 'x' },
  ];
  for (const attributes of bad) {
    const content = { messageType: TELEMETRY, payload, attributes } as EnvelopeContent;
    const error = thrownBy(() => sealEnvelope(content, ring));
    assert.is(error.code, 'ESPER_LEYLINE_INVALID');
  }
});

test('[R-O1] a peer that sends attribute __proto__ changes no prototype; the attribute stays an attribute', () => {
  const bytes = Buffer.concat([
    varintField(1, TELEMETRY),
    dataField(2, payload),
    mapEntry(3, '__proto__', 'evil'),
    mapEntry(3, 'constructor', 'worse'),
    mapEntry(3, 'stream', 's'),
  ]);
  const { attributes } = openEnvelope({ payload: bytes, signature: ring.sign(bytes) }, ring);
  assert.is(Object.getPrototypeOf(attributes), Object.prototype);
  assert.equal(Object.entries(attributes), [
    ['__proto__', 'evil'],
    ['constructor', 'worse'],
    ['stream', 's'],
  ]);
  assert.is(({} as Record<string, unknown>).evil, undefined);
  assert.is({}.constructor, Object);
});

test('[R-O1] unknown fields of an envelope are covered by the signature and do no harm', () => {
  const bytes = Buffer.concat([varintField(1, TELEMETRY), dataField(2, payload), dataField(99, 'later')]);
  const opened = openEnvelope({ payload: bytes, signature: ring.sign(bytes) }, ring);
  assert.is(opened.messageType, TELEMETRY);
});

test.run();
