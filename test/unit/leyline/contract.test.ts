import protobuf from 'protobufjs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as messages from '../../../src/leyline/messages.ts';
import { enumsOf, loadContract, PACKAGE, typesOf } from '../../fixtures/leyline/reflection.ts';
import { WIRE_ENUMS, WIRE_MESSAGES, WIRE_ONEOFS } from '../../fixtures/leyline/wire-table.ts';

const test = suite('leyline contract');
const root = loadContract({ keepCase: true });
const offered = new Map<string, unknown>(Object.entries(messages));

function enumTable(text: string): Record<string, number> {
  const rows = text.split(' · ').map((row) => row.split(' '));
  const prefix = rows[0]?.[0]?.replace(/_[A-Z]+$/, '') ?? '';
  const entries = rows.map(([name = '', number]) => [
    name.startsWith('_') ? prefix + name : name,
    Number(number),
  ]);
  return Object.fromEntries(entries) as Record<string, number>;
}

function fieldText(field: protobuf.Field): string {
  const type = field.resolvedType?.fullName.replace(/^\./, '').replace(`${PACKAGE}.`, '') ?? field.type;
  if (field instanceof protobuf.MapField) return `${field.id} ${field.name} map<${field.keyType},${type}>`;
  return `${field.id} ${field.name} ${field.repeated ? 'repeated ' : ''}${type}`;
}

test('[R-F1] the .proto files declare the enums of the contract and no others', () => {
  assert.equal(
    enumsOf(root)
      .map((item) => item.name)
      .sort(),
    Object.keys(WIRE_ENUMS).sort(),
  );
});

for (const [name, text] of Object.entries(WIRE_ENUMS)) {
  test(`[R-F1] enum ${name} has exactly the names and numbers of the contract`, () => {
    const table = enumTable(text);
    assert.equal({ ...root.lookupEnum(`${PACKAGE}.${name}`).values }, table);
    const generated = offered.get(name) as Record<string | number, unknown>;
    assert.equal(Object.keys(generated).sort(), Object.keys(table).sort());
    for (const [key, number] of Object.entries(table)) {
      assert.is(generated[key], number);
      assert.is(generated[number], key);
    }
  });
}

test('[R-F1] the .proto files declare the messages of the contract and no others', () => {
  assert.equal(
    typesOf(root)
      .map((item) => item.name)
      .sort(),
    Object.keys(WIRE_MESSAGES).sort(),
  );
});

for (const [name, text] of Object.entries(WIRE_MESSAGES)) {
  test(`[R-F1] message ${name} has exactly the fields of the contract`, () => {
    const fields = [...root.lookupType(`${PACKAGE}.${name}`).fieldsArray].sort((a, b) => a.id - b.id);
    assert.equal(fields.map(fieldText), text.split(' · '));
  });
}

test('[R-F1] oneofs and reserved numbers are those of the contract', () => {
  const oneofs = typesOf(root).flatMap((type) =>
    type.oneofsArray.map((oneof) => [`${type.name}.${oneof.name}`, oneof.oneof.join(' ')]),
  );
  assert.equal(Object.fromEntries(oneofs), WIRE_ONEOFS);
  assert.equal(root.lookupType(`${PACKAGE}.SystemStatePacket`).reserved, [[100, 199]]);
});

test('[R-F2] messages.ts offers every enum and message of the contract, and they are the generated ones', async () => {
  const { esper } = await import('../../../src/leyline/generated/leyline.js');
  const generated = esper.leyline.v1 as unknown as Record<string, unknown>;
  for (const name of [...Object.keys(WIRE_ENUMS), ...Object.keys(WIRE_MESSAGES)]) {
    assert.type(generated[name], name in WIRE_ENUMS ? 'object' : 'function');
    assert.is(offered.get(name), generated[name], name);
  }
  const extra = [...offered.keys()].filter((name) => !(name in WIRE_ENUMS) && !(name in WIRE_MESSAGES));
  assert.equal(extra.sort(), ['Struct', 'Timestamp']);
});

test.run();
