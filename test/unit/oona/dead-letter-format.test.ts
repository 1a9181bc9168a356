import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type DeadLetterInput,
  deadLetterFields,
  HANDLER_FAILED,
  LONGEST_ERROR,
  parseDeadLetter,
} from '../../../src/oona/dead-letters/letter.ts';
import { seededRandom } from '../../helpers/seeded.ts';

const test = suite('dead letters: format');

const input: DeadLetterInput = {
  stream: 'oona.normal',
  entryId: '1700000000000-3',
  group: 'workers',
  consumer: 'host:1',
  deliveryCount: 5,
  reason: 'ESPER_OONA_TOO_OLD',
  error: 'too old',
  firstAtMs: 1_700_000_000_001,
  lastAtMs: 1_700_000_000_900,
  messageType: 4,
  eventId: 'event',
};

function raw(fields: Record<string, string | Uint8Array>) {
  const entries = Object.entries(fields).map(
    ([name, value]) => [name, typeof value === 'string' ? Buffer.from(value) : value] as const,
  );
  return { entryId: '1-1', fields: new Map<string, Uint8Array>(entries) };
}

function stored(more: Partial<DeadLetterInput> = {}) {
  const fields = deadLetterFields({ ...input, ...more });
  return raw({ ...fields, payload: new Uint8Array([1, 2]), signature: 'sig' });
}

test('[R-O6] what is written is read again, field by field', () => {
  const { payload, ...letter } = parseDeadLetter(stored());
  assert.equal([...payload], [1, 2]);
  const { stream: originStream, entryId: originId, ...rest } = input;
  assert.equal(letter, {
    letterId: '1-1',
    ...rest,
    originStream,
    originId,
    signature: 'sig',
    originalFields: {},
    damaged: [],
  });
});

test('[R-O6] what is not known is empty, and the letter sound', () => {
  const { firstAtMs, ...unknown } = { ...input, messageType: undefined, eventId: undefined };
  const letter = parseDeadLetter(raw({ ...deadLetterFields(unknown), payload: '', signature: '' }));
  assert.equal(letter.damaged, []);
  assert.equal([letter.messageType, letter.eventId], [undefined, '']);
  assert.is(letter.firstAtMs, 1_700_000_000_000, 'the time in the entry id');
});

test('[R-O6] the message type may be given by its name', () => {
  const type = (text: string) =>
    parseDeadLetter(raw({ ...deadLetterFields(input), message_type: text, payload: '', signature: '' }));
  assert.is(type('BUS_MESSAGE_TYPE_TELEMETRY').messageType, 4);
  assert.is(type('99').messageType, 99, 'a number that has no name');
  for (const bad of ['toString', '__proto__', '4.0']) assert.equal(type(bad).damaged, ['message_type'], bad);
});

test('[R-O6] long texts are cut, never inside a character', () => {
  const fields = deadLetterFields({
    ...input,
    error: '😀'.repeat(LONGEST_ERROR),
    eventId: 'x'.repeat(10_000),
  });
  assert.ok((fields.error ?? '').length <= LONGEST_ERROR);
  assert.ok((fields.error ?? '').isWellFormed());
  assert.ok((fields.event_id ?? '').length <= 512);
});

test('[R-O6] credentials in an error are masked', () => {
  const error = 'connect redis://esper:hunter2@redis:6379/0 and https://u:p@ss@host/x failed';
  const written = deadLetterFields({ ...input, error }).error ?? '';
  assert.is(written, 'connect redis://***@redis:6379/0 and https://***@host/x failed');
});

test('[R-O6] a cause without a stable code has the code of handlers', () => {
  for (const reason of ['ENOENT: no such file', '', 'a\nb', 'X'.repeat(200)]) {
    assert.is(deadLetterFields({ ...input, reason }).reason, HANDLER_FAILED, reason);
  }
});

test('[R-O6] times and counts that are none do not keep a letter from being written', () => {
  const letter = parseDeadLetter(stored({ deliveryCount: Number.NaN, lastAtMs: -5, firstAtMs: 1.7 }));
  assert.equal([letter.deliveryCount, letter.lastAtMs, letter.firstAtMs, letter.damaged], [0, 0, 1, []]);
});

test('[R-O6] a letter that lacks fields or has senseless ones says which', () => {
  const empty = parseDeadLetter(raw({}));
  assert.is(empty.damaged.length, 11, 'type and event may be missing');
  assert.equal([empty.reason, empty.payload.length, empty.deliveryCount], ['', 0, 0]);
  const sound = stored();
  for (const [name, value] of [
    ['reason', 'not a code'],
    ['origin_stream', ''],
    ['origin_id', 'one'],
    ['delivery_count', '-1'],
    ['first_at_ms', '1e5'],
    ['message_type', 'telemetry'],
  ] as const) {
    const fields = new Map(sound.fields).set(name, Buffer.from(value));
    assert.equal(parseDeadLetter({ entryId: '1-1', fields }).damaged, [name]);
  }
});

test('[R-O6] no bytes at all make the parser throw', () => {
  const random = seededRandom(6);
  const names = [...stored().fields.keys()];
  for (let round = 0; round < 2000; round++) {
    const fields = new Map<string, Uint8Array>();
    for (const name of names) {
      if (random() < 0.2) continue;
      const bytes = Uint8Array.from({ length: Math.floor(random() * 20) }, () => Math.floor(random() * 256));
      fields.set(name, bytes);
    }
    const letter = parseDeadLetter({ entryId: 'x', fields });
    assert.ok(Number.isFinite(letter.deliveryCount) && Number.isFinite(letter.lastAtMs));
  }
});

test('[R-O6] a signature that is not ASCII stays byte for byte what it was', () => {
  const fields = new Map(stored().fields).set('signature', new Uint8Array([0xe9, 0x00, 0xff]));
  const { signature } = parseDeadLetter({ entryId: '1-1', fields });
  assert.equal([...Buffer.from(signature, 'latin1')], [0xe9, 0, 0xff]);
});

test.run();
