import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  BusMessageType,
  type CodableType,
  isCodableType,
  MessagePriority,
  timestampFromWallMs,
} from '../../../src/leyline/index.ts';
import { MESSAGE_KINDS, messageKind } from '../../../src/oona/publish/message-kinds.ts';
import {
  indicatedPriority,
  isPriority,
  PRIORITY_ROUTES,
  routeOf,
} from '../../../src/oona/publish/priority.ts';
import { DEFAULT_STREAMS } from '../../../src/oona/streams.ts';
import { WIRE_BUS_MESSAGES } from '../../fixtures/leyline/wire-table.ts';
import { message } from '../../helpers/publishing.ts';

const test = suite('message kinds and priorities');
const T = BusMessageType;
const P = MessagePriority;
const issuedAt = timestampFromWallMs(1_700_000_000_123);

test('[R-O1] every message type of the wire page has its stream, id, time and source', () => {
  const given = { issuedAt, triggeredAt: issuedAt, timestamp: issuedAt, occurredAt: issuedAt };
  const ids = { packetId: 'p', commandId: 'c', reportId: 'r', requestId: 'q', signalId: 's', eventId: 'e' };
  const sources = {
    sourceSubsystem: 'sub',
    issuedBy: 'by',
    origin: 'org',
    component: 'com',
    policyId: 'pol',
  };
  const all = { ...given, ...ids, ...sources, timestampNs: 1_700_000_000_123_456_000 };
  const rows = Object.keys(MESSAGE_KINDS).map((key) => {
    const type = Number(key) as CodableType;
    const kind = messageKind(type);
    const issuedAtMs = kind.issuedAtMsOf(all as never);
    return [
      T[type]?.replace('BUS_MESSAGE_TYPE_', ''),
      kind.role,
      kind.idOf(all as never),
      issuedAtMs === undefined ? undefined : Math.floor(issuedAtMs),
      kind.sourceOf(all as never),
    ];
  });
  const at = 1_700_000_000_123;
  assert.equal(rows, [
    ['SYSTEM_STATE', 'normal', 'state:p', at, 'sub'],
    ['ADAPTATION_COMMAND', 'normal', 'command:c', at, 'by'],
    ['FIELD_REPORT', 'normal', 'report:r', at, ''],
    ['TELEMETRY', 'telemetry', 'p', at, 'sub'],
    ['POLICY_UPDATE', 'policy', '', at, ''],
    ['KERNEL_PREFETCH_REQUEST', 'kernelRequests', 'kernel-request:q', at, ''],
    ['KERNEL_PREFETCH_READY', 'kernelReady', 'kernel-ready:q', undefined, ''],
    ['KERNEL_PREFETCH_ERROR', 'kernelErrors', 'kernel-error:q', undefined, ''],
    ['KERNEL_CATALOG_UPDATE', 'kernelReady', '', undefined, ''],
    ['EMERGENCY_SIGNAL', 'emergency', 's', at, 'org'],
    ['ERROR_EVENT', 'telemetry', 'error:e', at, 'com'],
    ['ROLLBACK_REQUEST', 'normal', 'rollback:q', at, 'org'],
  ]);
});

test('[R-O1] the table has exactly the types that can be encoded', () => {
  const types = Object.keys(WIRE_BUS_MESSAGES).map(Number).filter(isCodableType);
  assert.equal(Object.keys(MESSAGE_KINDS).map(Number).sort(), types.sort());
  for (const type of [0, 20, 21, 22, 99, -1, 1.5]) assert.is(messageKind(type), undefined);
});

test('[R-O1] fields that nobody set are no id and no time', () => {
  for (const key of Object.keys(MESSAGE_KINDS)) {
    const kind = messageKind(Number(key) as CodableType);
    assert.equal([kind.idOf({}), kind.issuedAtMsOf({}), kind.sourceOf({})], ['', undefined, '']);
  }
  assert.is(MESSAGE_KINDS[T.BUS_MESSAGE_TYPE_SYSTEM_STATE].issuedAtMsOf({ timestampNs: 0 }), undefined);
});

test('[R-O4] one row for each priority: HIGH and CRITICAL to the emergency stream', () => {
  const rows = Object.entries(PRIORITY_ROUTES).map(([value, route]) => [P[Number(value)], route]);
  assert.equal(rows, [
    ['MESSAGE_PRIORITY_UNSPECIFIED', 'own'],
    ['MESSAGE_PRIORITY_LOW', 'own'],
    ['MESSAGE_PRIORITY_NORMAL', 'own'],
    ['MESSAGE_PRIORITY_HIGH', 'emergency'],
    ['MESSAGE_PRIORITY_CRITICAL', 'emergency'],
  ]);
});

test('[R-O4] every type follows its priority to the emergency stream and back', () => {
  for (const key of Object.keys(MESSAGE_KINDS)) {
    const type = Number(key) as CodableType;
    const own = messageKind(type).role;
    const normal = routeOf(message(type, {}), P.MESSAGE_PRIORITY_NORMAL);
    const high = routeOf(message(type, {}), P.MESSAGE_PRIORITY_HIGH);
    assert.equal(
      [normal, high],
      [
        { own, to: own },
        { own, to: 'emergency' },
      ],
    );
    assert.type(DEFAULT_STREAMS[own], 'string');
  }
});

test('[R-O4] telemetry says its priority in system_health, by name; the caller has the last word', () => {
  const telemetry = (priority: string) =>
    message(T.BUS_MESSAGE_TYPE_TELEMETRY, { systemHealth: { indicators: { priority } } });
  const to = (name: string, priority?: MessagePriority) => routeOf(telemetry(name), priority)?.to;
  assert.is(to('MESSAGE_PRIORITY_HIGH'), 'emergency');
  assert.is(to('MESSAGE_PRIORITY_CRITICAL'), 'emergency');
  assert.is(to('MESSAGE_PRIORITY_NORMAL'), 'telemetry');
  assert.is(to('MESSAGE_PRIORITY_CRITICAL', P.MESSAGE_PRIORITY_LOW), 'telemetry');
  assert.is(to('MESSAGE_PRIORITY_LOW', P.MESSAGE_PRIORITY_HIGH), 'emergency');
  for (const junk of ['', 'high', '3', 'toString', '__proto__']) assert.is(to(junk), 'telemetry');
});

test('[R-O4] only telemetry indicates a priority', () => {
  const health = { systemHealth: { indicators: { priority: 'MESSAGE_PRIORITY_HIGH' } } };
  const report = message(T.BUS_MESSAGE_TYPE_FIELD_REPORT, health as object);
  assert.is(indicatedPriority(report), P.MESSAGE_PRIORITY_NORMAL);
  assert.equal([3, 5, -1, '3', undefined, 'toString'].map(isPriority), [
    true,
    false,
    false,
    false,
    false,
    false,
  ]);
});

test.run();
