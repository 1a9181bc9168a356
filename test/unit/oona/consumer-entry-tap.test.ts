import { EventEmitter } from 'node:events';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EntriesParser, type EntriesReply } from '../../../src/oona/transport/redis-entry-parser.ts';
import { EntryTap } from '../../../src/oona/transport/redis-entry-tap.ts';
import type { RedisCaller } from '../../../src/oona/transport/redis-link.ts';
import { parseRead } from '../../../src/oona/transport/redis-replies.ts';

const test = suite('entries out of the bytes of a reply');

const STREAM = 'oona.normal';
type Fields = readonly (string | Buffer)[];

const bulk = (value: string | Buffer): Buffer => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')]);
};
const array = (items: readonly Buffer[]): Buffer =>
  Buffer.concat([Buffer.from(`*${items.length}\r\n`), ...items]);
const replyOf = (entries: readonly (readonly [string, Fields])[]): Buffer =>
  array([
    array([bulk(STREAM), array(entries.map(([id, fields]) => array([bulk(id), array(fields.map(bulk))])))]),
  ]);

const PAYLOAD = Buffer.from([0, 13, 10, 255, 36, 42]);
const ours: readonly (readonly [string, Fields])[] = [
  ['1763798400000-0', ['payload', PAYLOAD, 'signature', 'c2lnbmF0dXJl']],
  ['1763798400000-1', ['payload', '', 'signature', '']],
  ['1763798400001-0', ['payload', Buffer.alloc(300, 7), 'signature', Buffer.from([0xe9, 0x80])]],
];
const parseEntriesReply = (reply: Buffer): EntriesReply => new EntriesParser(STREAM).add(reply);
/** As ioredis would hand it over. */
const parsedByClient = parseRead(STREAM, [
  [
    Buffer.from(STREAM),
    ours.map(([id, fields]) => [Buffer.from(id), fields.map((field) => Buffer.from(field))]),
  ],
]);

test("[R-O2] finds what the client's own parser finds", () => {
  const parsed = parseEntriesReply(replyOf(ours));
  assert.is(parsed.length, 3);
  assert.equal(parsed, parsedByClient);
});

test('[R-O2] a reply that is cut anywhere is incomplete, never something else', () => {
  const whole = replyOf(ours);
  for (let length = 0; length < whole.length; length++) {
    assert.is(parseEntriesReply(whole.subarray(0, length)), 'incomplete', `${length} bytes`);
  }
});

test('[R-O2] whatever is not entries of ours is left to the client', () => {
  const [first] = ours;
  const foreign: Record<string, Buffer> = {
    nothing: Buffer.from('*-1\r\n'),
    error: Buffer.from('-NOGROUP no such group\r\n'),
    'more after it': Buffer.concat([replyOf(ours), Buffer.from('+OK\r\n')]),
    'another field': replyOf([['1-0', ['payload', 'a', 'signatur3', 'b']]]),
    'another order': replyOf([['1-0', ['signature', 'b', 'payload', 'a']]]),
    'more fields': replyOf([['1-0', ['payload', 'a', 'signature', 'b', 'c', 'd']]]),
    'one of them among ours': replyOf([first ?? ['', []], ['1-0', ['other', 'a']]]),
    'no entry': Buffer.from(`*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*-1\r\n`),
    'a length that is none': Buffer.from('*1\r\n*2\r\n$-1\r\n'),
    'a length of ten digits': Buffer.from('*1\r\n*2\r\n$1234567890\r\n'),
  };
  for (const [what, reply] of Object.entries(foreign)) {
    assert.is(parseEntriesReply(reply), 'foreign', what);
  }
});

interface Rig {
  readonly stream: EventEmitter;
  readonly queue: { length: number };
  readonly passed: Buffer[];
  readonly tap: EntryTap;
}

/** What the tap sees of a client: its socket, with one listener, and its queue. */
function rig(): Rig {
  const stream = new EventEmitter();
  const passed: Buffer[] = [];
  stream.on('data', (data: Buffer) => passed.push(data));
  const queue = { length: 0 };
  const tap = EntryTap.on({ stream, commandQueue: queue } as unknown as RedisCaller);
  if (tap === undefined) throw new Error('not tapped');
  return { stream, queue, passed, tap };
}

test('[R-O2] entries come out of any two pieces of a reply; the client hears that nothing came', () => {
  const whole = replyOf(ours);
  for (let at = 1; at < whole.length; at++) {
    const { stream, passed, tap } = rig();
    tap.expect(STREAM);
    stream.emit('data', whole.subarray(0, at));
    assert.is(passed.length, 0);
    stream.emit('data', whole.subarray(at));
    assert.is(Buffer.concat(passed).toString(), '*-1\r\n');
    assert.equal(tap.take(), parsedByClient);
    assert.is(tap.take(), undefined);
  }
});

test('[R-O2] what is not expected reaches the client byte for byte', () => {
  const { stream, queue, passed, tap } = rig();
  const all = (): string => Buffer.concat(passed.splice(0)).toString('latin1');
  const whole = replyOf(ours);
  stream.emit('data', whole);
  assert.is(all(), whole.toString('latin1'));
  const other = replyOf([['1-0', ['payload', 'a', 'other', 'b']]]);
  tap.expect(STREAM);
  stream.emit('data', other.subarray(0, 30));
  stream.emit('data', other.subarray(30));
  stream.emit('data', whole);
  assert.is(all(), other.toString('latin1') + whole.toString('latin1'));
  assert.is(tap.take(), undefined);
  // Another command is under way: its reply comes first, and who knows where it ends.
  queue.length = 1;
  tap.expect(STREAM);
  stream.emit('data', whole);
  assert.is(all(), whole.toString('latin1'));
});

test('[R-O2] entries come out of a reply in many pieces, of whatever size', () => {
  const many = Array.from({ length: 64 }, (_, i) => {
    const fields: Fields = ['payload', Buffer.alloc(i * 17, i), 'signature', `s-${i}`];
    return [`1763798400000-${i}`, fields] as const;
  });
  const whole = replyOf(many);
  for (const size of [1, 2, 7, 64, 1000, 4096, whole.length]) {
    const { stream, passed, tap } = rig();
    tap.expect(STREAM);
    for (let at = 0; at < whole.length; at += size) stream.emit('data', whole.subarray(at, at + size));
    assert.is(Buffer.concat(passed).toString(), '*-1\r\n');
    const entries = tap.take() ?? [];
    assert.equal(
      entries.map(({ entryId, signature, payload }) => [entryId, signature, Buffer.from(payload)]),
      many.map(([id, fields]) => [id, fields[3], fields[1]]),
    );
  }
});

test('[R-O2] a large entry reaches the client byte for byte', () => {
  const { stream, passed, tap } = rig();
  const large = replyOf([['1-0', ['payload', Buffer.alloc(3_000_000, 1), 'signature', 's']]]);
  tap.expect(STREAM);
  for (let at = 0; at < large.length; at += 65_536) stream.emit('data', large.subarray(at, at + 65_536));
  assert.ok(passed.length > 10 && Buffer.concat(passed).equals(large));
  assert.is(tap.take(), undefined);
});

test('[R-O2] a client without a socket, or whose socket others listen to, is left alone', () => {
  assert.is(EntryTap.on({ callBuffer: async () => null }), undefined);
  const stream = new EventEmitter();
  const client = { stream, commandQueue: [] } as unknown as RedisCaller;
  assert.is(EntryTap.on(client), undefined);
  stream.on('data', () => undefined).on('data', () => undefined);
  assert.is(EntryTap.on(client), undefined);
  assert.is(stream.listenerCount('data'), 2);
});

test.run();
