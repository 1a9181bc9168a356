import protobuf from 'protobufjs/minimal.js';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeMessage, encodeMessage } from '../../../src/leyline/codec.ts';
import { BusMessageType, ErrorEvent, Timestamp } from '../../../src/leyline/messages.ts';
import { timestampFromWallMs, wallMsFromTimestamp } from '../../../src/leyline/timestamps.ts';
import { fromUint64, toUint64 } from '../../../src/leyline/uint64.ts';
import { codeOf } from '../../fixtures/leyline/thrown.ts';
import { varint } from '../../fixtures/leyline/wire.ts';

const test = suite('leyline scalars');
const ERROR_EVENT = BusMessageType.BUS_MESSAGE_TYPE_ERROR_EVENT;

const edges = [
  0n,
  1n,
  127n,
  128n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n + 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];

for (const value of edges) {
  test(`[R-F1] uint64 ${value} is exact on the wire and back`, () => {
    assert.is(fromUint64(toUint64(value)), value);
    const bytes = encodeMessage(ERROR_EVENT, { code: 'c', count: toUint64(value) });
    const expected = value === 0n ? [] : [0x58, ...varint(value)];
    assert.equal([...bytes], [0x1a, 1, 0x63, ...expected]);
    assert.is(fromUint64(decodeMessage(ERROR_EVENT, bytes).count), value);
  });
}

test('[R-F1] a uint64 without the long package is read and written the same', () => {
  const { Long } = protobuf.util;
  const configure = (with_: typeof Long | undefined) => {
    Object.assign(protobuf.util, { Long: with_ });
    protobuf.configure();
  };
  try {
    configure(undefined);
    const bytes = encodeMessage(ERROR_EVENT, { code: 'c', count: toUint64(2n ** 53n - 1n) });
    const { count } = decodeMessage(ERROR_EVENT, bytes);
    assert.type(count, 'number');
    assert.is(fromUint64(count), 2n ** 53n - 1n);
  } finally {
    configure(Long);
  }
});

test('[R-F1] fields that are missing are 0n, numbers are taken', () => {
  assert.is(fromUint64(undefined), 0n);
  assert.is(fromUint64(null), 0n);
  assert.is(fromUint64(5), 5n);
  assert.is(fromUint64(new ErrorEvent().count), 0n);
});

test('[R-F1] what is no uint64 is refused, a bare bigint in a message too', () => {
  for (const bad of [-1n, 2n ** 64n, 5 as unknown as bigint]) {
    assert.is(
      codeOf(() => toUint64(bad)),
      'ESPER_OPTION_INVALID',
    );
  }
  for (const bad of [-1, 1.5, 2 ** 53, Number.NaN]) {
    assert.is(
      codeOf(() => fromUint64(bad)),
      'ESPER_OPTION_INVALID',
    );
  }
  // protobufjs's writer would send 0 for it and say nothing.
  const message = { code: 'c', count: 5n as unknown as number };
  assert.is(
    codeOf(() => encodeMessage(ERROR_EVENT, message)),
    'ESPER_LEYLINE_INVALID',
  );
});

test('[R-F1] fields of the wrong type are refused by name, not sent as something else', () => {
  const bad = { code: 5 as unknown as string };
  assert.is(
    codeOf(() => encodeMessage(ERROR_EVENT, bad)),
    'ESPER_LEYLINE_INVALID',
  );
});

const instants: readonly [number, number, number][] = [
  [0, 0, 0],
  [1_763_700_000_123, 1_763_700_000, 123_000_000],
  [1_763_700_000_123.5, 1_763_700_000, 123_500_000],
  [-1, -1, 999_000_000],
  [-62_135_596_800_000, -62_135_596_800, 0],
  [253_402_300_799_999, 253_402_300_799, 999_000_000],
];

for (const [wallMs, seconds, nanos] of instants) {
  test(`[R-F1] ${wallMs} ms is ${seconds} s + ${nanos} ns, and back over the wire`, () => {
    const timestamp = timestampFromWallMs(wallMs);
    assert.is(timestamp.seconds, seconds);
    assert.is(timestamp.nanos, nanos);
    assert.is(wallMsFromTimestamp(timestamp), wallMs);
    assert.is(wallMsFromTimestamp(Timestamp.decode(Timestamp.encode(timestamp).finish())), wallMs);
  });
}

test('[R-F1] a time that is no time is refused, one that is not set is undefined', () => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, 253_402_300_800_000, '5' as unknown as number]) {
    assert.is(
      codeOf(() => timestampFromWallMs(bad)),
      'ESPER_OPTION_INVALID',
    );
  }
  assert.is(wallMsFromTimestamp(undefined), undefined);
  assert.is(wallMsFromTimestamp(null), undefined);
  assert.is(wallMsFromTimestamp({}), 0);
});

test.run();
