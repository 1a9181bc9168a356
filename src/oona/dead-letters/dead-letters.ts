import type { CallOptions } from '../transport/transport.ts';
import { contentOf, failureOf } from './content.ts';
import { LetterCounter, type LetterCounts } from './counts.ts';
import type { DeadLetter } from './letter.ts';
import {
  type Conditions,
  findLetter,
  type LetterStream,
  matches,
  requireFilter,
  requireLetterId,
  walkLetters,
} from './letters.ts';
import {
  DEAD_LETTERS_OPTIONS,
  LETTER_QUERY_OPTIONS,
  REPLAY_OPTIONS,
  type ResolvedDeadLettersOptions,
} from './options.ts';
import { type ReplayRules, replayLetter } from './replay.ts';
import { ReplayTally } from './replay-tally.ts';
import type {
  CallBounds,
  DeadLetters,
  DeadLettersOptions,
  EngineFailure,
  InspectResult,
  LetterFilter,
  LetterQuery,
  LetterSelection,
  PurgeReport,
  ReplayOptions,
  ReplayReport,
} from './types.ts';

/** Ids in one call to the engine. */
const REMOVE_BATCH = 256;
const METRIC = 'oona.dead_letters';

class StreamDeadLetters implements DeadLetters {
  readonly #options: ResolvedDeadLettersOptions;

  constructor(options: ResolvedDeadLettersOptions) {
    this.#options = options;
  }

  async *list(query: LetterQuery = {}): AsyncGenerator<DeadLetter, void, undefined> {
    const { limit, after = '', newestFirst, signal, ...filter } = LETTER_QUERY_OPTIONS.resolve(query);
    if (after !== '') requireLetterId('deadLetters.list', after);
    const from = this.#from(signal);
    let left = limit;
    for await (const letter of this.#matching(from, filter, { after, newestFirst })) {
      this.#count('listed');
      if (letter.damaged.length > 0) this.#count('damaged');
      yield letter;
      left -= 1;
      if (left === 0) return;
    }
  }

  async inspect(letterId: string, { signal }: CallBounds = {}): Promise<InspectResult> {
    requireLetterId('deadLetters.inspect', letterId);
    const letter = await findLetter(this.#from(signal), letterId);
    this.#count('inspected');
    if (letter === undefined) return { outcome: 'not-found', letterId };
    return { outcome: 'found', ...contentOf(letter, this.#options) };
  }

  async replay(selection: LetterSelection, options: ReplayOptions = {}): Promise<ReplayReport> {
    const owner = 'deadLetters.replay';
    const { allowUnverified, newEventId, limit, signal } = REPLAY_OPTIONS.resolve(options);
    const rules = { ...(allowUnverified && { allowUnverified }), newEventId };
    const tally = new ReplayTally(this.#options.metrics, this.#options.logger);
    const from = this.#from(signal);
    if (isIds(selection)) {
      for (const letterId of selection) requireLetterId(owner, letterId);
      await this.#replayNamed(from, selection, { ...rules, named: true }, tally);
    } else {
      requireFilter(owner, selection);
      await this.#replayMatching(from, selection, limit, { ...rules, named: false }, tally);
    }
    return tally.report();
  }

  async purge(selection: LetterSelection, { signal }: CallBounds = {}): Promise<PurgeReport> {
    const from = this.#from(signal);
    const removed = { count: 0 };
    const ids = isIds(selection) ? [...new Set(selection)] : undefined;
    for (const letterId of ids ?? []) requireLetterId('deadLetters.purge', letterId);
    if (!isIds(selection)) requireFilter('deadLetters.purge', selection);
    let failure: EngineFailure | undefined;
    try {
      if (isIds(selection)) await this.#removeAll(from, asyncOf(ids ?? []), removed);
      else await this.#removeAll(from, this.#idsOf(from, selection), removed);
    } catch (error) {
      failure = failureOf(error);
      this.#count('purge_failed');
    }
    const notFound = ids === undefined || failure !== undefined ? 0 : ids.length - removed.count;
    this.#options.logger.info({ removed: removed.count, notFound }, 'dead letters purged');
    return { removed: removed.count, notFound, ...(failure && { failure }) };
  }

  async counts({ signal }: CallBounds = {}): Promise<LetterCounts> {
    const counter = new LetterCounter();
    const { countLimit } = this.#options;
    for await (const letter of walkLetters(this.#from(signal), { after: '', newestFirst: true })) {
      if (counter.total === countLimit) return counter.result(false);
      counter.add(letter);
    }
    return counter.result(true);
  }

  async #replayNamed(
    from: LetterStream,
    ids: readonly string[],
    rules: ReplayRules,
    tally: ReplayTally,
  ): Promise<void> {
    for (const letterId of ids) {
      try {
        const letter = await findLetter(from, letterId);
        if (letter === undefined) tally.add({ outcome: 'not-found', letterId });
        else tally.add(await replayLetter(letter, rules, this.#options, from.call), letter);
      } catch (error) {
        tally.add({ outcome: 'failed', letterId, ...failureOf(error) });
      }
      if (tally.failure !== undefined) return;
    }
  }

  async #replayMatching(
    from: LetterStream,
    filter: LetterFilter,
    limit: number,
    rules: ReplayRules,
    tally: ReplayTally,
  ): Promise<void> {
    try {
      for await (const letter of this.#matching(from, filter, { after: '', newestFirst: false })) {
        if (tally.size === limit) return tally.endEarly();
        tally.add(await replayLetter(letter, rules, this.#options, from.call), letter);
        if (tally.failure !== undefined) return tally.endEarly();
      }
    } catch (error) {
      tally.fail(failureOf(error));
    }
  }

  async *#matching(
    from: LetterStream,
    filter: Conditions,
    walk: Parameters<typeof walkLetters>[1],
  ): AsyncGenerator<DeadLetter, void, undefined> {
    const nowMs = filter.olderThanMs === undefined ? 0 : await from.transport.timeMs(from.call);
    for await (const letter of walkLetters(from, walk)) {
      if (matches(letter, filter, nowMs)) yield letter;
    }
  }

  async *#idsOf(from: LetterStream, filter: LetterFilter): AsyncGenerator<string, void, undefined> {
    for await (const { letterId } of this.#matching(from, filter, { after: '', newestFirst: false }))
      yield letterId;
  }

  async #removeAll(
    from: LetterStream,
    ids: AsyncIterable<string>,
    removed: { count: number },
  ): Promise<void> {
    let batch: string[] = [];
    const flush = async (): Promise<void> => {
      if (batch.length === 0) return;
      const count = await from.transport.remove(from.stream, batch, from.call);
      removed.count += count;
      this.#count('purged', count);
      batch = [];
    };
    for await (const letterId of ids) {
      batch.push(letterId);
      if (batch.length === REMOVE_BATCH) await flush();
    }
    await flush();
  }

  #from(signal: AbortSignal | undefined): LetterStream {
    const { transport, streams, callDeadlineMs: deadlineMs } = this.#options;
    const call: CallOptions = signal === undefined ? { deadlineMs } : { deadlineMs, signal };
    return { transport, stream: streams.deadLetter, call };
  }

  #count(what: string, by = 1): void {
    if (by > 0) this.#options.metrics.increment(`${METRIC}.${what}_total`, by);
  }
}

function isIds(selection: LetterSelection): selection is readonly string[] {
  return Array.isArray(selection);
}

async function* asyncOf<T>(values: Iterable<T>): AsyncGenerator<T, void, undefined> {
  yield* values;
}

/**
 * The dead letters of a bus: looked at, replayed, removed. Nothing is connected or read before the first call. Throws
 * OptionError.
 */
export function createDeadLetters(options: DeadLettersOptions): DeadLetters {
  return new StreamDeadLetters(DEAD_LETTERS_OPTIONS.resolve(options));
}
