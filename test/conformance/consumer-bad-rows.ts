import { randomUUID } from 'node:crypto';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/core/clock.ts';
import { createKeyRing, type SignedEntry, sealEnvelope, sealMessage } from '../../src/leyline/index.ts';
import { BusEnvelope, type BusMessageType } from '../../src/leyline/messages.ts';
import type { ConsumerParts } from '../../src/oona/consumer/options.ts';
import { type DeadLetter, parseDeadLetter } from '../../src/oona/dead-letters/letter.ts';
import { otherKeyRing, signed } from '../helpers/oona-fixtures.ts';
import { until } from '../helpers/until.ts';
import {
  accountsAreEven,
  type ConsumerBench,
  calls,
  FIELD_REPORT,
  report,
  type Worker,
} from './consumer-bench.ts';

const MAX_AGE_MS = 900_000;
const MAX_SKEW_MS = 30_000;
const MIB = 1024 * 1024;

/** What is wrong, the entry, and the code under which it must end as a dead letter; none: it must be handled. */
export type Row = readonly [name: string, entry: SignedEntry, code?: string];

export const deadStreamOf = ({ stream }: ConsumerBench): string => stream.replace('test.', 'dead.');

export async function lettersOf(bench: ConsumerBench): Promise<DeadLetter[]> {
  const request = { stream: deadStreamOf(bench), after: '', count: 1000, newestFirst: false };
  return (await bench.transport.range(request, calls)).map(parseDeadLetter);
}

function envelope(type: number, payload: Uint8Array, attributes: Record<string, string> = {}): SignedEntry {
  return signed(BusEnvelope.encode({ messageType: type as BusMessageType, payload, attributes }).finish());
}

function flipped(text: string, at: number): string {
  return `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`;
}

function signatureRows(stream: string): Row[] {
  const good = report(randomUUID(), stream);
  const bad = (name: string, signature: string, code: string): Row => [name, { ...good, signature }, code];
  const malformed = 'ESPER_LEYLINE_SIGNATURE_MALFORMED';
  const altered = Uint8Array.from(good.payload, (byte, i) =>
    i === good.payload.length - 1 ? byte ^ 1 : byte,
  );
  return [
    bad('no signature', '', 'ESPER_LEYLINE_SIGNATURE_MISSING'),
    bad('wrong signature', flipped(good.signature, 3), 'ESPER_LEYLINE_SIGNATURE_MISMATCH'),
    bad('one character short', good.signature.slice(0, -1), malformed),
    bad('four characters short', good.signature.slice(0, -4), malformed),
    bad('one character long', `${good.signature}=`, malformed),
    bad('not ASCII', 'é'.repeat(44), malformed),
    bad('NUL bytes', '\0'.repeat(44), malformed),
    bad('URL-safe alphabet', `${good.signature.slice(0, 10)}-_${good.signature.slice(12)}`, malformed),
    bad('64 KiB of signature', 'A'.repeat(65_536), malformed),
    ['altered payload', { ...good, payload: altered }, 'ESPER_LEYLINE_SIGNATURE_MISMATCH'],
    ['other key', report(randomUUID(), stream, {}, otherKeyRing), 'ESPER_LEYLINE_SIGNATURE_MISMATCH'],
    [
      'another entry’s signature',
      { ...report(randomUUID(), stream), signature: good.signature },
      'ESPER_LEYLINE_SIGNATURE_MISMATCH',
    ],
  ];
}

function contentRows(stream: string): Row[] {
  const good = report(randomUUID(), stream);
  const cut = (bytes: number): SignedEntry => signed(good.payload.subarray(0, good.payload.length - bytes));
  return [
    ['no bytes', signed(new Uint8Array(0)), 'ESPER_LEYLINE_EMPTY'],
    ['envelope cut by one byte', cut(1), 'ESPER_LEYLINE_TRUNCATED'],
    ['envelope cut by half', cut(good.payload.length >> 1), 'ESPER_LEYLINE_TRUNCATED'],
    ['noise', signed(new Uint8Array(64).fill(255)), 'ESPER_LEYLINE_TRUNCATED'],
    ['message cut', envelope(FIELD_REPORT, new Uint8Array([18, 9, 65])), 'ESPER_LEYLINE_TRUNCATED'],
    ['no message', envelope(FIELD_REPORT, new Uint8Array(0)), 'ESPER_LEYLINE_EMPTY'],
    ['type 0', envelope(0, new Uint8Array([8, 1])), 'ESPER_LEYLINE_UNKNOWN_TYPE'],
    ['type that nobody has', envelope(99, new Uint8Array([8, 1])), 'ESPER_LEYLINE_UNKNOWN_TYPE'],
    ['type of a peer', envelope(20, new Uint8Array([8, 1])), 'ESPER_LEYLINE_UNKNOWN_TYPE'],
    ['negative type', envelope(-1, new Uint8Array([8, 1])), 'ESPER_LEYLINE_UNKNOWN_TYPE'],
    ['one byte too large', signed(new Uint8Array(MIB + 1)), 'ESPER_LEYLINE_TOO_LARGE'],
    ['moved from another stream', report(randomUUID(), 'oona.policy'), 'ESPER_OONA_WRONG_STREAM'],
    ['signed for no stream', report(randomUUID(), ''), 'ESPER_OONA_WRONG_STREAM'],
  ];
}

/** At, below and above each bound of time; `nowMs` is the consumer's clock. */
function timeRows(stream: string, nowMs: number): Row[] {
  const issued = (name: string, offsetMs: number, code?: string): Row => {
    const entry = report(randomUUID(), stream, { issued_at_ms: String(nowMs + offsetMs) });
    return code === undefined ? [name, entry] : [name, entry, code];
  };
  return [
    issued('a millisecond younger than the oldest', -MAX_AGE_MS + 1),
    issued('exactly the oldest', -MAX_AGE_MS),
    issued('a millisecond too old', -MAX_AGE_MS - 1, 'ESPER_OONA_TOO_OLD'),
    issued('of 1970', -nowMs, 'ESPER_OONA_TOO_OLD'),
    issued('a millisecond below the skew', MAX_SKEW_MS - 1),
    issued('exactly the skew', MAX_SKEW_MS),
    issued('a millisecond beyond the skew', MAX_SKEW_MS + 1, 'ESPER_OONA_FROM_FUTURE'),
    issued('of the year 5138', 1e14, 'ESPER_OONA_FROM_FUTURE'),
  ];
}

/** Attributes that make no sense date and name nothing, and do no harm. */
function attributeRows(stream: string): Row[] {
  const message = { version: 1, reportId: randomUUID() };
  const sealedWith = (attributes: Record<string, string>): SignedEntry =>
    sealMessage({ messageType: FIELD_REPORT, message, attributes: { stream, ...attributes } }, undefined);
  const with_ = (name: string, attributes: Record<string, string>): Row => [
    name,
    signed(sealedWith(attributes).payload),
  ];
  const many = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`attribute-${i}`, 'x'.repeat(20)]));
  return [
    with_('a date that is none', { issued_at_ms: 'yesterday' }),
    with_('a negative date', { issued_at_ms: '-1' }),
    with_('a date with an exponent', { issued_at_ms: '1e400' }),
    with_('an empty event id', { event_id: '' }),
    with_('an event id of 100 KiB', { event_id: 'e'.repeat(100 * 1024) }),
    with_('an event id of control characters', { event_id: '\0\u001b[2J\r\n' }),
    with_('two thousand attributes', many),
    with_('a key id that is none of ours', { key_id: 'somebody' }),
    with_('empty names and values', { '': '' }),
    with_('a traceparent that is none', { traceparent: 'ff-0-0-0', tracestate: '=' }),
    [
      'names that copy badly',
      envelope(FIELD_REPORT, new Uint8Array([8, 1]), JSON.parse('{"__proto__":"x","constructor":"y"}')),
    ],
  ];
}

/** Good messages around every row: all are handled, the rows end as they must, and the accounts are even. */
async function survives(
  bench: ConsumerBench,
  rows: readonly Row[],
  parts: Partial<ConsumerParts> = {},
): Promise<Worker> {
  const { append, publish, worker, pending } = bench;
  const expected = new Map<string, string>();
  const originals = new Map<string, SignedEntry>();
  const issued = parts.clock === undefined ? {} : { issued_at_ms: String(parts.clock.wallMs()) };
  for (const [name, entry, code] of rows) {
    await publish(`before ${name}`, issued);
    const entryId = await append(entry);
    if (code !== undefined) expected.set(entryId, code);
    originals.set(entryId, entry);
  }
  await publish('the last one', issued);
  const hired = worker({ parts });
  const { consumer, deliveries, metrics } = hired;
  await consumer.start();
  const total = 2 * rows.length + 1;
  await until('everything decided', () => consumer.stats().read === total && consumer.stats().pending === 0);
  const { handled, deadLettered, deadLetteredByCode } = consumer.stats();
  const letters = await lettersOf(bench);
  assert.equal(new Map(letters.map(({ originId, reason }) => [originId, reason])), expected);
  assert.equal([handled, deadLettered], [total - expected.size, expected.size]);
  assert.equal(
    rows.map(([name]) => deliveries.some(({ eventId }) => eventId === `before ${name}`)),
    rows.map(() => true),
  );
  for (const letter of letters) {
    const original = originals.get(letter.originId);
    assert.ok(
      Buffer.from(letter.payload).equals(Buffer.from(original?.payload ?? [])),
      'the original is untouched',
    );
    assert.is(letter.signature, original?.signature);
    assert.equal(letter.damaged, []);
  }
  const byCode: Record<string, number> = {};
  for (const code of expected.values()) byCode[code] = (byCode[code] ?? 0) + 1;
  assert.equal(deadLetteredByCode, byCode);
  for (const [code, count] of Object.entries(byCode)) {
    assert.is(metrics.value(`oona.consume.normal.dead_lettered_total.${code}`), count, code);
  }
  assert.is(await pending(), 0);
  assert.ok(accountsAreEven(consumer));
  return hired;
}

export function badRowTests(test: Test, bench: () => ConsumerBench): void {
  test('[R-O6] whatever is wrong with a signature: dead-lettered, counted, and the rest is handled', async () => {
    const own = bench();
    await survives(own, signatureRows(own.stream));
  });

  test('[R-O6] whatever is wrong with the content: dead-lettered, counted, and the rest is handled', async () => {
    const own = bench();
    await survives(own, contentRows(own.stream));
  });

  test('[R-O7] a message is fresh up to both bounds exactly', async () => {
    const own = bench();
    const nowMs = Math.floor(systemClock.wallMs());
    const clock = { ...systemClock, wallMs: () => nowMs };
    await survives(own, timeRows(own.stream, nowMs), { clock });
  });

  test('[R-O6] attributes that make no sense do no harm', async () => {
    const own = bench();
    await survives(own, attributeRows(own.stream));
    assert.is(Reflect.get({}, 'x'), undefined);
  });

  test('[R-O6] 64 MiB are dead-lettered without being decoded', async () => {
    const own = bench();
    const large = signed(new Uint8Array(64 * MIB));
    await survives(own, [['64 MiB', large, 'ESPER_LEYLINE_TOO_LARGE']], { callDeadlineMs: 30_000 });
  });

  test('[R-O6] all of them in one batch, shuffled into one another', async () => {
    const own = bench();
    const rows = [...signatureRows(own.stream), ...contentRows(own.stream), ...attributeRows(own.stream)];
    await survives(own, [...rows.filter((_, i) => i % 2 === 0), ...rows.filter((_, i) => i % 2 === 1)]);
  });

  test('[R-O6] what a previous key signed is handled, and dead-lettered once that key is gone', async () => {
    const own = bench();
    const current = { secret: 'the secret after the rotation' };
    const former = { secret: 'a secret that tests share' };
    const rotating = createKeyRing({ current, previous: [former] });
    const rotated = createKeyRing({ current });
    const old = (): SignedEntry => report(randomUUID(), own.stream);
    const young = report(randomUUID(), own.stream, {}, rotating);
    const entryIds = [await own.append(old()), await own.append(young)];
    const during = own.worker({ parts: { keyRing: rotating } });
    await during.consumer.start();
    await until('both', () => during.consumer.stats().handled === 2);
    await during.consumer.stop();
    const late = await own.append(old());
    await own.append(sealEnvelope({ messageType: FIELD_REPORT, payload: new Uint8Array([8, 1]) }, rotated));
    const after = own.worker({ parts: { keyRing: rotated } });
    await after.consumer.start();
    await until('the rest', () => after.consumer.stats().read === 2 && after.consumer.stats().pending === 0);
    assert.is(after.consumer.stats().handled, 1);
    const letters = await lettersOf(own);
    assert.equal(
      letters.map(({ originId, reason }) => [originId, reason]),
      [[late, 'ESPER_LEYLINE_SIGNATURE_MISMATCH']],
    );
    assert.not(entryIds.includes(late));
  });
}
