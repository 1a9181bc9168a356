import protobuf from 'protobufjs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeMessage, encodeMessage, isCodableType } from '../../../src/leyline/codec.ts';
import { buildEmergencySignal, readEmergencySignal } from '../../../src/leyline/emergency.ts';
import { openEnvelope, sealEnvelope } from '../../../src/leyline/envelope.ts';
import { BusMessageType, EmergencyLevel, EmergencySignal } from '../../../src/leyline/messages.ts';
import { loadContract, PACKAGE, sampleOf } from '../../fixtures/leyline/reflection.ts';
import { dataField, UNKNOWN_FIELDS, varintField } from '../../fixtures/leyline/wire.ts';
import { WIRE_BUS_MESSAGES } from '../../fixtures/leyline/wire-table.ts';

const test = suite('leyline unknown fields');
const root = loadContract({ keepCase: false });
const EMERGENCY = BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL;

for (const [number, name] of Object.entries(WIRE_BUS_MESSAGES)) {
  test(`[R-F1] ${name}: unknown fields of every wire type come out byte for byte`, () => {
    const type = Number(number);
    if (!isCodableType(type)) throw new Error(`type ${type} has no codec`);
    const known = encodeMessage(type, sampleOf(root.lookupType(`${PACKAGE}.${name}`)));
    const bytes = Buffer.concat([known, UNKNOWN_FIELDS]);
    const decoded = decodeMessage(type, bytes);
    assert.is(Buffer.from(encodeMessage(type, decoded)).toString('hex'), bytes.toString('hex'));
  });
}

test('[R-F1] without the reader option they would be lost: the tests here can fail', () => {
  const bytes = Buffer.concat([EmergencySignal.encode({ version: 1 }).finish(), UNKNOWN_FIELDS]);
  const careless = EmergencySignal.decode(bytes);
  assert.equal(EmergencySignal.encode(careless).finish(), EmergencySignal.encode({ version: 1 }).finish());
});

test('[R-F1] unknown fields do not disturb the known ones, and survive beside a changed field', () => {
  const bytes = Buffer.concat([varintField(900, 5), varintField(2, 3), UNKNOWN_FIELDS, dataField(3, 'why')]);
  const decoded = decodeMessage(EMERGENCY, bytes);
  assert.is(decoded.level, EmergencyLevel.EMERGENCY_LEVEL_CONSERVATIVE);
  assert.is(decoded.reason, 'why');
  decoded.reason = 'another';
  const expected = Buffer.concat([
    varintField(2, 3),
    dataField(3, 'another'),
    varintField(900, 5),
    UNKNOWN_FIELDS,
  ]);
  assert.is(Buffer.from(encodeMessage(EMERGENCY, decoded)).toString('hex'), expected.toString('hex'));
});

test('[R-F1] unknown fields inside nested messages survive', () => {
  const metric = Buffer.concat([dataField(1, 'loss'), UNKNOWN_FIELDS]);
  const health = Buffer.concat([varintField(1, 1), UNKNOWN_FIELDS]);
  const bytes = Buffer.concat([dataField(1, 'p-1'), dataField(10, metric), dataField(40, health)]);
  const decoded = decodeMessage(BusMessageType.BUS_MESSAGE_TYPE_TELEMETRY, bytes);
  const again = encodeMessage(BusMessageType.BUS_MESSAGE_TYPE_TELEMETRY, decoded);
  assert.is(Buffer.from(again).toString('hex'), bytes.toString('hex'));
});

test('[R-F1] a known field of a foreign wire type is kept as unknown, not misread', () => {
  const bytes = Buffer.concat([varintField(1, 1), dataField(2, 'not a number')]);
  const decoded = decodeMessage(EMERGENCY, bytes);
  assert.is(decoded.level, 0);
  assert.is(Buffer.from(encodeMessage(EMERGENCY, decoded)).toString('hex'), bytes.toString('hex'));
});

test('[R-F1] an enum value without a name is kept', () => {
  const bytes = Buffer.concat([varintField(1, 1), varintField(2, 9)]);
  const decoded = decodeMessage(EMERGENCY, bytes);
  assert.is(decoded.level, 9);
  assert.is(Buffer.from(encodeMessage(EMERGENCY, decoded)).toString('hex'), bytes.toString('hex'));
});

/** The contract as an existing peer may still have it: none of our fields, types or enum values. */
const OLDER = protobuf.parse(`
  syntax = "proto3";
  package esper.leyline.v1;
  enum EmergencyLevel { EMERGENCY_LEVEL_UNSPECIFIED = 0; EMERGENCY_LEVEL_NOTICE = 1; EMERGENCY_LEVEL_HALT = 4; }
  enum BusMessageType { BUS_MESSAGE_TYPE_UNSPECIFIED = 0; BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL = 10; }
  message BusEnvelope { BusMessageType message_type = 1; bytes payload = 2; map<string, string> attributes = 3; }
  message EmergencySignal {
    uint32 version = 1; EmergencyLevel level = 2; string reason = 3; string origin = 4;
    map<string, string> attributes = 8;
  }`).root;

const newer = buildEmergencySignal({
  level: EmergencyLevel.EMERGENCY_LEVEL_CONSERVATIVE,
  reason: 'NaN in layer 3',
  origin: 'tolaria',
  runId: 'run-1',
  step: 123,
  signalId: 'host:1:1',
  bootId: 'boot',
  monotonicNs: 5n,
  wallMs: 1_763_700_000_123,
  attributes: { phase: 'forward' },
});

test('[R-F1] an older reader reads our newer messages unharmed', () => {
  const { payload } = sealEnvelope(
    { messageType: EMERGENCY, payload: encodeMessage(EMERGENCY, newer), attributes: { origin: 'tolaria' } },
    undefined,
  );
  const envelope = OLDER.lookupType('BusEnvelope').decode(payload) as unknown as {
    messageType: number;
    payload: Uint8Array;
    attributes: Record<string, string>;
  };
  assert.is(envelope.messageType, 10);
  assert.equal(envelope.attributes, { origin: 'tolaria' });
  const type = OLDER.lookupType('EmergencySignal');
  assert.equal(type.toObject(type.decode(envelope.payload)), {
    version: 1,
    level: 3, // a level this reader has no name for
    reason: 'NaN in layer 3',
    origin: 'tolaria',
    attributes: { phase: 'forward' },
  });
});

test('[R-F1] a message that passes through an older reader which keeps unknown fields is still whole', () => {
  const bytes = encodeMessage(EMERGENCY, newer);
  const type = OLDER.lookupType('EmergencySignal');
  const reader = protobuf.Reader.create(bytes);
  reader.discardUnknown = false;
  const passed = type.encode(type.decode(reader)).finish();
  assert.equal(readEmergencySignal(decodeMessage(EMERGENCY, passed)), readEmergencySignal(newer));
});

test('[R-F1] our reader reads an older message: what it does not set is empty', () => {
  const older = OLDER.lookupType('EmergencySignal').encode({ version: 1, level: 4, reason: 'old' }).finish();
  const entry = sealEnvelope({ messageType: EMERGENCY, payload: older }, undefined);
  const fields = readEmergencySignal(decodeMessage(EMERGENCY, openEnvelope(entry, undefined).payload));
  assert.equal(
    { ...fields },
    {
      level: EmergencyLevel.EMERGENCY_LEVEL_HALT,
      reason: 'old',
      origin: '',
      runId: '',
      step: 0,
      signalId: '',
      bootId: '',
      monotonicNs: 0n,
      wallMs: undefined,
      attributes: {},
    },
  );
});

test.run();
