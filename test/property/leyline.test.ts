import fc from 'fast-check';
import protobuf from 'protobufjs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeMessage, encodeMessage, isCodableType } from '../../src/leyline/codec.ts';
import { buildEmergencySignal, readEmergencySignal } from '../../src/leyline/emergency.ts';
import { openEnvelope, sealEnvelope } from '../../src/leyline/envelope.ts';
import { LeylineError } from '../../src/leyline/errors.ts';
import { createKeyRing } from '../../src/leyline/key-ring.ts';
import { BusMessageType, type EmergencyLevel } from '../../src/leyline/messages.ts';
import { fromUint64, toUint64 } from '../../src/leyline/uint64.ts';
import { loadContract, PACKAGE } from '../fixtures/leyline/reflection.ts';
import { WIRE_BUS_MESSAGES } from '../fixtures/leyline/wire-table.ts';

/** FC_SEED repeats a run; fast-check prints seed and path of a failure as well. */
const seed = Number(process.env.FC_SEED ?? Date.now() % 2 ** 31);
const numRuns = Number(process.env.FC_RUNS ?? 300);
console.log(`fast-check seed ${seed}, ${numRuns} runs (repeat with FC_SEED=${seed})`);

const test = suite('leyline properties');
const check = <T>(arbitrary: fc.Arbitrary<T>, predicate: (value: T) => void): void =>
  fc.assert(fc.property(arbitrary, predicate), { seed, numRuns });

const root = loadContract({ keepCase: false });
const ring = createKeyRing({ current: { secret: 'secret-0123456789' } });
const busTypes = Object.keys(WIRE_BUS_MESSAGES).map(Number).filter(isCodableType);
const EMERGENCY = BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL;

/** Well-formed, with NUL, astral and control characters in it. */
const text = fc.string({ unit: 'binary', maxLength: 40 });
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const attributeKey = text.filter((key) => !['__proto__', 'constructor', 'prototype'].includes(key));
const attributes = fc.dictionary(attributeKey, text, { maxKeys: 5, noNullPrototype: true });

function scalar(type: string): fc.Arbitrary<unknown> {
  const table: Record<string, fc.Arbitrary<unknown>> = {
    double: fc.double(),
    float: fc.float(),
    bool: fc.boolean(),
    string: text,
    bytes: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    uint32: fc.nat({ max: 2 ** 32 - 1 }),
    int32: fc.integer(),
    uint64: uint64.map(toUint64),
    int64: uint64.map((value) =>
      new protobuf.util.LongBits(Number(value & 0xffff_ffffn), Number(value >> 32n)).toLong(false),
    ),
  };
  const found = table[type];
  if (found === undefined) throw new Error(`no arbitrary for ${type}`);
  return found;
}

function single(field: protobuf.Field, depth: number): fc.Arbitrary<unknown> {
  const { resolvedType } = field;
  if (resolvedType instanceof protobuf.Enum)
    return fc.constantFrom(...Object.values(resolvedType.values), 77);
  if (resolvedType instanceof protobuf.Type) return messageOf(resolvedType, depth - 1);
  return scalar(field.type);
}

function anyOf(field: protobuf.Field, depth: number): fc.Arbitrary<unknown> {
  if (field instanceof protobuf.MapField) {
    return fc.dictionary(attributeKey, single(field, depth), { maxKeys: 3, noNullPrototype: true });
  }
  return field.repeated ? fc.array(single(field, depth), { maxLength: 3 }) : single(field, depth);
}

/** Any message of the type: each field set or not, at most one of a oneof, `depth` levels of messages in messages. */
function messageOf(type: protobuf.Type, depth: number): fc.Arbitrary<object> {
  const fields = type.fieldsArray.filter((f) => depth > 0 || !(f.resolvedType instanceof protobuf.Type));
  const pick = fc.nat({ max: 20 });
  const whole = fc.record(Object.fromEntries(fields.map((f) => [f.name, anyOf(f, depth)])), {
    requiredKeys: [],
    noNullPrototype: true,
  });
  return fc.tuple(whole, pick).map(([message, choice]) => {
    for (const { oneof } of type.oneofsArray) {
      const set = oneof.filter((name) => name in message);
      const kept = set[choice % Math.max(1, set.length)];
      for (const name of set) if (name !== kept) delete message[name];
    }
    return message;
  });
}

for (const type of busTypes) {
  const reflected = root.lookupType(`${PACKAGE}.${WIRE_BUS_MESSAGES[type]}`);
  const plain = (message: object) =>
    reflected.toObject(message as protobuf.Message, { longs: String, defaults: true });

  test(`[R-F1] any ${reflected.name} survives the round trip, and reflection reads the same`, () => {
    let encoded = 0;
    check(messageOf(reflected, 3), (message) => {
      if (reflected.encode(message).finish().length === 0) return;
      const bytes = encodeMessage(type, message);
      const decoded = decodeMessage(type, bytes);
      assert.equal(plain(decoded), plain(reflected.decode(bytes)));
      assert.equal(Buffer.from(encodeMessage(type, decoded)), Buffer.from(bytes));
      encoded++;
    });
    assert.ok(encoded > numRuns / 2, `only ${encoded} messages were not empty`);
  });
}

/** Runs `read`; true when it gave a value, false when it refused with an error of this layer. Anything else fails. */
function readsOrRefuses(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch (error) {
    if (error instanceof LeylineError) return false;
    throw error;
  }
}

test('[R-F1][BAD-envelope-truncated] random bytes are read or refused, never anything else', () => {
  const tally = { read: 0, refused: 0 };
  check(fc.tuple(fc.constantFrom(...busTypes), fc.uint8Array({ maxLength: 200 })), ([type, bytes]) => {
    for (const input of [bytes, Buffer.from(bytes)]) {
      const read = readsOrRefuses(() => decodeMessage(type, input));
      tally[read ? 'read' : 'refused']++;
      readsOrRefuses(() => openEnvelope({ payload: input, signature: '' }, undefined));
    }
  });
  assert.ok(tally.refused > 0);
});

test('[R-F1][BAD-envelope-truncated] damaged messages are read or refused, and what is read can be sent on', () => {
  const tally = { read: 0, refused: 0 };
  const damage = fc.array(fc.tuple(fc.nat({ max: 400 }), fc.nat({ max: 255 })), {
    minLength: 0,
    maxLength: 3,
  });
  // Often none: nearly every message that lost its end is refused, and those that are read are the point here.
  const cut = fc.oneof(
    { weight: 3, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.nat({ max: 20 }) },
  );
  const message = messageOf(root.lookupType(`${PACKAGE}.TelemetryPacket`), 3);
  const type = BusMessageType.BUS_MESSAGE_TYPE_TELEMETRY;
  check(fc.tuple(message, damage, cut), ([packet, changes, tail]) => {
    const bytes = Buffer.from(encodeMessage(type, { packetId: 'p', ...packet, sourceSubsystem: 's' }));
    for (const [at, value] of changes) bytes[at % bytes.length] = value;
    const input = bytes.subarray(0, Math.max(1, bytes.length - tail));
    const read = readsOrRefuses(() => {
      const again = encodeMessage(type, decodeMessage(type, input));
      decodeMessage(type, again);
    });
    tally[read ? 'read' : 'refused']++;
  });
  assert.ok(tally.read > numRuns / 30 && tally.refused > numRuns / 30, JSON.stringify(tally));
});

test('[R-O1] any attributes survive sealing and opening', () => {
  check(fc.tuple(attributes, fc.uint8Array({ minLength: 1, maxLength: 300 })), ([given, payload]) => {
    const entry = sealEnvelope({ messageType: EMERGENCY, payload, attributes: given }, ring);
    const opened = openEnvelope(entry, ring);
    assert.equal(opened.attributes, { ...given, key_id: ring.currentKeyId });
    assert.equal(Buffer.from(opened.payload), Buffer.from(payload));
  });
});

test('[R-O1] any other signature text is refused by an error of this layer', () => {
  const entry = sealEnvelope({ messageType: EMERGENCY, payload: Buffer.from('x') }, ring);
  const base64 = fc
    .uint8Array({ minLength: 32, maxLength: 32 })
    .map((b) => Buffer.from(b).toString('base64'));
  check(fc.oneof(fc.string({ unit: 'binary', maxLength: 60 }), base64), (signature) => {
    assert.is(
      readsOrRefuses(() => openEnvelope({ payload: entry.payload, signature }, ring)),
      signature === entry.signature,
    );
  });
});

test('[R-F1] any emergency is read as it was built', () => {
  const input = fc.record({
    level: fc.constantFrom<EmergencyLevel>(1, 2, 3, 4),
    reason: text,
    origin: text,
    runId: text,
    step: fc.maxSafeNat(),
    signalId: text.filter((id) => id !== ''),
    bootId: text,
    monotonicNs: uint64.filter((ns) => ns > 0n),
    wallMs: fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 }),
    attributes,
    checksum: fc.boolean(),
  });
  check(input, (given) => {
    const { checksum: _, ...expected } = given;
    const bytes = encodeMessage(EMERGENCY, buildEmergencySignal(given));
    assert.equal({ ...readEmergencySignal(decodeMessage(EMERGENCY, bytes)) }, expected);
  });
});

test('[R-F1] any uint64 is exact', () => {
  check(uint64, (value) => assert.is(fromUint64(toUint64(value)), value));
});

test.run();
