import type protobuf from 'protobufjs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeMessage, encodeMessage, isCodableType } from '../../../src/leyline/codec.ts';
import * as messages from '../../../src/leyline/messages.ts';
import { enumsOf, loadContract, PACKAGE, sampleOf, typesOf } from '../../fixtures/leyline/reflection.ts';
import { WIRE_BUS_MESSAGES } from '../../fixtures/leyline/wire-table.ts';

const test = suite('leyline round trip');
const root = loadContract({ keepCase: false });

interface AnyClass {
  encode(message: object): protobuf.Writer;
  decode(bytes: Uint8Array): object;
  verify(message: object): string | null;
  toObject(message: object, options?: object): Record<string, unknown>;
}

const offered = new Map<string, unknown>(Object.entries(messages));
const classOf = (name: string): AnyClass => offered.get(name) as AnyClass;
const plain = (name: string, message: object) => classOf(name).toObject(message, { longs: String });

/** What reflection, which shares no code with the generated classes, reads in the bytes. */
const reflected = (type: protobuf.Type, bytes: Uint8Array) =>
  type.toObject(type.decode(bytes), { longs: String });

let enumValuesSeen = 0;

/** No field holds these two: what travels is the name (indicator `priority`), or nothing. */
const withoutField = ['MessagePriority', 'DeliveryGuarantee'];

for (const item of enumsOf(root)) {
  const carriers = typesOf(root).flatMap((type) =>
    type.fieldsArray.filter((field) => field.resolvedType === item).map((field) => ({ type, field })),
  );
  for (const [name, value] of Object.entries(item.values)) {
    test(`[R-F1] ${item.name}.${name} survives the round trip`, () => {
      assert.is(carriers.length === 0, withoutField.includes(item.name));
      for (const { type, field } of carriers) {
        const bytes = classOf(type.name)
          .encode({ [field.name]: value })
          .finish();
        const decoded = classOf(type.name).decode(bytes) as Record<string, unknown>;
        assert.is(decoded[field.name], value);
        assert.is((type.decode(bytes) as unknown as Record<string, unknown>)[field.name], value);
      }
      const health = messages.SystemHealth.encode({ indicators: { priority: name } }).finish();
      const named = messages.SystemHealth.decode(health).indicators.priority ?? '';
      assert.is((offered.get(item.name) as Record<string, number>)[named], value);
      enumValuesSeen++;
    });
  }
}

test('[R-F1] no enum value was left out', () => {
  assert.is(enumValuesSeen, 85);
});

for (const type of typesOf(root)) {
  const choices = Math.max(1, ...type.oneofsArray.map((oneof) => oneof.oneof.length));
  for (let choice = 0; choice < choices; choice++) {
    test(`[R-F1] ${type.name} with every field set survives the round trip (${choice + 1} of ${choices})`, () => {
      const sample = sampleOf(type, choice);
      assert.is(classOf(type.name).verify(sample), null);
      const bytes = classOf(type.name).encode(sample).finish();
      const decoded = classOf(type.name).decode(bytes);
      assert.equal(Object.keys(decoded).sort(), Object.keys(sample).sort());
      assert.equal(plain(type.name, decoded), plain(type.name, sample));
      assert.equal(plain(type.name, decoded), reflected(type, bytes));
      assert.equal(classOf(type.name).encode(decoded).finish(), bytes);
    });
  }
}

for (const [number, name] of Object.entries(WIRE_BUS_MESSAGES)) {
  test(`[R-F1] bus message type ${number} carries ${name} through the codec`, () => {
    const type = Number(number);
    if (!isCodableType(type)) throw new Error(`type ${type} has no codec`);
    const sample = sampleOf(root.lookupType(`${PACKAGE}.${name}`));
    const bytes = encodeMessage(type, sample);
    const decoded = decodeMessage(type, bytes);
    assert.is(decoded.constructor, classOf(name));
    assert.equal(plain(name, decoded), plain(name, sample));
    assert.equal(encodeMessage(type, decoded), bytes);
  });
}

test('[R-F1] no other bus message type has a codec', () => {
  const numbers = Object.values(root.lookupEnum(`${PACKAGE}.BusMessageType`).values).filter(isCodableType);
  assert.equal(numbers.map(String), Object.keys(WIRE_BUS_MESSAGES));
});

test.run();
