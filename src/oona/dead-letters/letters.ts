/** Walks the dead-letter stream, page by page. */
import { OptionError } from '../../core/errors.ts';
import type { BusTransport, CallOptions } from '../transport/transport.ts';
import type { RangeRequest, RawEntry } from '../transport/work.ts';
import { type DeadLetter, parseDeadLetter, timeOfEntryId } from './letter.ts';
import { LETTER_FILTER_OPTIONS } from './options.ts';
import type { LetterFilter } from './types.ts';

export interface LetterStream {
  readonly transport: BusTransport;
  readonly stream: string;
  readonly call: CallOptions;
}

/** Pages grow and shrink with what they weigh: a letter keeps the whole original, of whatever size. */
const FIRST_PAGE = 8;
const LARGEST_PAGE = 256;
const PAGE_BYTES = 1024 * 1024;
const LARGEST_SEQUENCE = 0xffff_ffff_ffff_ffffn;

type Walk = Pick<RangeRequest, 'after' | 'newestFirst'>;

/** Oldest first ends with what is the newest at the start: letters that come meanwhile could keep it going for ever. */
export async function* walkLetters(
  from: LetterStream,
  walk: Walk,
): AsyncGenerator<DeadLetter, void, undefined> {
  const last = walk.newestFirst ? undefined : await newestId(from);
  if (last === '') return;
  let count = FIRST_PAGE;
  let after = walk.after;
  for (;;) {
    const page = await rangeOf(from, { ...walk, after, count });
    for (const entry of page) {
      if (last !== undefined && compareIds(entry.entryId, last) > 0) return;
      yield parseDeadLetter(entry);
    }
    const end = page.at(-1);
    if (end === undefined || page.length < count) return;
    after = end.entryId;
    count = nextCount(page, count);
  }
}

/** '' when there is none. */
export async function newestId(from: LetterStream): Promise<string> {
  const [newest] = await rangeOf(from, { after: '', newestFirst: true, count: 1 });
  return newest?.entryId ?? '';
}

/** '' when there is none. */
export async function oldestId(from: LetterStream): Promise<string> {
  const [oldest] = await rangeOf(from, { after: '', newestFirst: false, count: 1 });
  return oldest?.entryId ?? '';
}

export async function findLetter(from: LetterStream, letterId: string): Promise<DeadLetter | undefined> {
  const [entry] = await rangeOf(from, { after: idBefore(letterId), newestFirst: false, count: 1 });
  return entry?.entryId === letterId ? parseDeadLetter(entry) : undefined;
}

/** Throws OptionError. */
export function requireLetterId(owner: string, letterId: unknown): string {
  if (typeof letterId === 'string' && /^\d{1,16}-\d{1,20}$/.test(letterId) && idBefore(letterId) !== '')
    return letterId;
  throw new OptionError(
    `${owner}: a letter id looks like 1700000000000-0, got "${String(letterId).slice(0, 64)}"`,
  );
}

/** Throws OptionError on a filter that says nothing, or nothing sensible. */
export function requireFilter(owner: string, filter: LetterFilter): void {
  const conditions = LETTER_FILTER_OPTIONS.resolve(filter);
  if (Object.values(conditions).some((given) => given !== undefined)) return;
  const { all, ...others } = LETTER_FILTER_OPTIONS.rows;
  throw new OptionError(`${owner}: give ids, a condition (${Object.keys(others).join(', ')}), or all: true`);
}

/** A filter as it was given, or a query's part that is one. */
export type Conditions = { readonly [K in keyof LetterFilter]: LetterFilter[K] | undefined };

/** `nowMs`: the engine's time. */
export function matches(letter: DeadLetter, filter: Conditions, nowMs: number): boolean {
  const { code, stream, messageType, olderThanMs } = filter;
  return (
    (code === undefined || letter.reason === code) &&
    (stream === undefined || letter.originStream === stream) &&
    (messageType === undefined || letter.messageType === messageType) &&
    (olderThanMs === undefined || nowMs - timeOfEntryId(letter.letterId) >= olderThanMs)
  );
}

function rangeOf(
  { transport, stream, call }: LetterStream,
  range: Omit<RangeRequest, 'stream'>,
): Promise<readonly RawEntry[]> {
  return transport.range({ stream, ...range }, call);
}

function nextCount(page: readonly RawEntry[], count: number): number {
  const bytes = page.reduce((sum, { fields }) => sum + (fields.get('payload')?.length ?? 0), 0);
  const fitting = Math.floor((PAGE_BYTES * page.length) / Math.max(1, bytes));
  return Math.max(1, Math.min(LARGEST_PAGE, count * 2, fitting));
}

/** The largest id below; '' for 0-0, which no entry has. */
function idBefore(entryId: string): string {
  const [ms = '0', sequence = '0'] = entryId.split('-');
  if (BigInt(sequence) > LARGEST_SEQUENCE) return '';
  if (BigInt(sequence) > 0n) return `${ms}-${BigInt(sequence) - 1n}`;
  return BigInt(ms) > 0n ? `${BigInt(ms) - 1n}-${LARGEST_SEQUENCE}` : '';
}

/** Negative when `a` comes first. */
function compareIds(a: string, b: string): number {
  const [aMs = '0', aSequence = '0'] = a.split('-');
  const [bMs = '0', bSequence = '0'] = b.split('-');
  return Number(BigInt(aMs) - BigInt(bMs)) || Number(BigInt(aSequence) - BigInt(bSequence));
}
