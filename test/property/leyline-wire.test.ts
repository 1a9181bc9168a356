// What this package writes and reads by hand, held against the generated classes and Node's own Hmac.
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeMessage, encodeMessage, isCodableType } from '../../src/leyline/codec.ts';
import { openEnvelope, sealEnvelope } from '../../src/leyline/envelope.ts';
import { createKeyRing } from '../../src/leyline/key-ring.ts';
import { BusEnvelope, BusMessageType, KernelArtifactError } from '../../src/leyline/messages.ts';
import { WIRE_BUS_MESSAGES } from '../fixtures/leyline/wire-table.ts';

/** FC_SEED repeats a run; fast-check prints seed and path of a failure as well. */
const seed = Number(process.env.FC_SEED ?? Date.now() % 2 ** 31);
const numRuns = Number(process.env.FC_RUNS ?? 300);
console.log(`fast-check seed ${seed}, ${numRuns} runs (repeat with FC_SEED=${seed})`);

const test = suite('leyline wire properties');
const check = <T>(arbitrary: fc.Arbitrary<T>, predicate: (value: T) => void): void =>
  fc.assert(fc.property(arbitrary, predicate), { seed, numRuns });

const ring = createKeyRing({ current: { secret: 'secret-0123456789' } });
const busTypes = Object.keys(WIRE_BUS_MESSAGES).map(Number).filter(isCodableType);
const EMERGENCY = BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL;

/** Well-formed, with NUL, astral and control characters in it. */
const text = fc.string({ unit: 'binary', maxLength: 40 });
const attributeKey = text.filter((key) => !['__proto__', 'constructor', 'prototype'].includes(key));
/** Attributes that peers and we really send, among others; lone surrogates in some values. */
const anyText = fc.oneof(
  text,
  fc.string({ minLength: 100, maxLength: 140 }),
  fc.array(fc.nat({ max: 0xffff }), { maxLength: 8 }).map((units) => String.fromCharCode(...units)),
);
const usualKey = fc.constantFrom('event_id', 'issued_at_ms', 'stream', 'source', 'key_id', 'reason', 'level');
const usualAttributes = fc.dictionary(fc.oneof(usualKey, attributeKey), fc.oneof(anyText, usualKey), {
  maxKeys: 7,
  noNullPrototype: true,
});
const wellFormed = (given: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(given).map(([key, value]) => [key, value.toWellFormed()]));

test('[R-O1] any envelope is sealed byte for byte as the generated class writes it', () => {
  const messageType = fc.constantFrom(...busTypes, 20, 22);
  const payload = fc.uint8Array({ minLength: 1, maxLength: 300 });
  check(fc.tuple(messageType, payload, usualAttributes), ([type, message, given]) => {
    const whole = { messageType: type, payload: message, attributes: wellFormed(given) };
    const expected = Buffer.concat([
      BusEnvelope.encode(whole).finish(),
      BusEnvelope.encode({ attributes: { key_id: ring.currentKeyId } }).finish(),
    ]);
    const sealed = sealEnvelope({ ...whole, attributes: given }, ring);
    assert.is(Buffer.from(sealed.payload).toString('hex'), expected.toString('hex'));
  });
});

/** What `read` gives, or 'refused'. */
function orRefused(read: () => unknown): unknown {
  try {
    return read();
  } catch {
    return 'refused';
  }
}

test('[R-O1][BAD-envelope-truncated] any envelope, whole or damaged, is read as the generated class reads it', () => {
  const tally = { read: 0, refused: 0 };
  const damage = fc.array(fc.tuple(fc.nat({ max: 400 }), fc.nat({ max: 255 })), { maxLength: 2 });
  const payload = fc.uint8Array({ minLength: 1, maxLength: 40 });
  const cut = fc.oneof(fc.constant(0), fc.constant(0), fc.nat({ max: 60 }));
  const input = fc.tuple(payload, usualAttributes, damage, cut, fc.boolean());
  check(input, ([message, given, changes, tail, plainBytes]) => {
    const whole = Buffer.from(
      sealEnvelope({ messageType: EMERGENCY, payload: message, attributes: given }, ring).payload,
    );
    const bytes = whole.subarray(0, Math.max(1, whole.length - tail));
    for (const [at, value] of changes) bytes[at % bytes.length] = value;
    const sent = plainBytes ? new Uint8Array(bytes) : bytes;
    const ours = orRefused(() => {
      const { keyId: _, ...opened } = openEnvelope({ payload: sent, signature: '' }, undefined);
      return { ...opened, payload: Buffer.from(opened.payload).toString('hex') };
    });
    const theirs = orRefused(() => {
      const read = BusEnvelope.decode(protobuf.Reader.create(sent));
      if (read.messageType === 0 || BusMessageType[read.messageType] === undefined) throw new Error('type');
      const { messageType, attributes } = read;
      return {
        messageType,
        payload: Buffer.from(read.payload).toString('hex'),
        attributes: { ...attributes },
      };
    });
    assert.equal(ours, theirs);
    tally[ours === 'refused' ? 'refused' : 'read']++;
  });
  assert.ok(tally.read > numRuns / 10 && tally.refused > numRuns / 10, JSON.stringify(tally));
});

test('[R-F1][BAD-envelope-truncated] any message, whole or damaged, is read as the generated class alone reads it', () => {
  const tally = { read: 0, refused: 0 };
  const damage = fc.array(fc.tuple(fc.nat({ max: 400 }), fc.nat({ max: 255 })), { maxLength: 2 });
  const type = BusMessageType.BUS_MESSAGE_TYPE_KERNEL_PREFETCH_ERROR;
  check(fc.tuple(fc.record({ requestId: anyText, reason: anyText }), damage), ([message, changes]) => {
    const bytes = Buffer.from(encodeMessage(type, { blueprintId: 'b', ...message }));
    for (const [at, value] of changes) bytes[at % bytes.length] = value;
    const ours = orRefused(() => ({ ...decodeMessage(type, bytes) }));
    const theirs = orRefused(() => ({ ...KernelArtifactError.decode(protobuf.Reader.create(bytes)) }));
    assert.equal(ours, theirs);
    tally[ours === 'refused' ? 'refused' : 'read']++;
  });
  assert.ok(tally.read > numRuns / 10 && tally.refused > numRuns / 10, JSON.stringify(tally));
});

test('[R-O1] any payload is signed and verified by any ring as Node computes it', () => {
  const secretText = fc.string({ minLength: 16, maxLength: 150 });
  const payload = fc.uint8Array({ maxLength: 2000 });
  check(fc.tuple(secretText, secretText, payload), ([current, previous, bytes]) => {
    const mac = (secret: string) => createHmac('sha256', Buffer.from(secret)).update(bytes).digest('base64');
    const keys = createKeyRing({ current: { secret: current }, previous: [{ secret: previous }] });
    for (let time = 0; time < 2; time++) assert.is(keys.sign(bytes), mac(current));
    assert.is(keys.verify(bytes, mac(current)), keys.currentKeyId);
    assert.is(keys.verify(bytes, mac(previous)), keys.keyIds[1] ?? keys.currentKeyId);
  });
});

test.run();
