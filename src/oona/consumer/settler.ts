import { setMaxListeners } from 'node:events';
import { deadLetterFields } from '../dead-letters/letter.ts';
import { isPowerOfTwo } from '../emergency-stats.ts';
import type { DeadLetterRequest } from '../transport/work.ts';
import type { Cause } from './cause.ts';
import type { ConsumerContext } from './context.ts';
import type { AckReason } from './counters.ts';
import type { Ledger } from './ledger.ts';
import type { Owners } from './owners.ts';
import type { Work } from './work.ts';

interface Burial {
  readonly work: Work;
  readonly cause: Cause;
}

const MAX_IDS_PER_CALL = 1000;
/** As many acknowledgements do not wait for more to come. */
const ENOUGH_IDS = 256;
const BURIALS_AT_ONCE = 16;
/** Beyond this many undecided dead letters nothing more is read: their payloads are in memory. */
const MAX_BURIALS = 256;
/** Of a lease: until then nobody can have taken the entry over, whatever the round trip takes. */
const SURE_PART_OF_LEASE = 2 / 3;

/** Tells the engine what was decided, until it has heard: acknowledgements in batches, dead letters a few at a time. */
export class Settler {
  readonly #context: ConsumerContext;
  readonly #ledger: Ledger;
  readonly #owners: Owners;
  readonly #onProgress: () => void;
  readonly #closing = new AbortController();
  #acks: Work[] = [];
  /** Calls under way. */
  #acking = 0;
  /** They will be sent, by this turn or one of the next. */
  #due = false;
  #backingOff = false;
  #failures = 0;
  readonly #burials: Burial[] = [];
  #burying = 0;

  constructor(context: ConsumerContext, ledger: Ledger, owners: Owners, onProgress: () => void) {
    this.#context = context;
    this.#ledger = ledger;
    this.#owners = owners;
    this.#onProgress = onProgress;
    // As many wait at once for the engine to come back; Node warns of a leak at eleven.
    setMaxListeners(BURIALS_AT_ONCE + 1, this.#closing.signal);
  }

  /** Something is decided that the engine has not confirmed. */
  get busy(): boolean {
    return this.#acking > 0 || this.#acks.length > 0 || this.#burying > 0 || this.#burials.length > 0;
  }

  get crowded(): boolean {
    return this.#burials.length + this.#burying >= MAX_BURIALS;
  }

  acknowledge(work: Work, reason: AckReason): void {
    work.state = 'settling';
    work.reason = reason;
    this.#acks.push(work);
    this.#schedule();
  }

  deadLetter(work: Work, cause: Cause): void {
    work.state = 'settling';
    this.#burials.push({ work, cause });
    if (this.#burying >= BURIALS_AT_ONCE || this.#closing.signal.aborted) return;
    this.#burying += 1;
    void this.#buryAll();
  }

  /** What the engine has not confirmed by now stays pending there. */
  close(): void {
    this.#closing.abort();
  }

  #schedule(): void {
    if (this.#due || this.#backingOff || this.#closing.signal.aborted) return;
    this.#due = true;
    setImmediate(() => this.#sendOrWait(0));
  }

  /**
   * All that is decided in one turn goes in one call, and that of several turns while each decides more: a call wakes
   * the engine, which costs as much as handing over several messages. A turn that decides nothing ends the wait.
   */
  #sendOrWait(known: number): void {
    const { length } = this.#acks;
    if (length > known && length < ENOUGH_IDS) {
      setImmediate(() => this.#sendOrWait(length));
      return;
    }
    this.#due = false;
    while (this.#acks.length > 0) void this.#send(this.#acks.splice(0, MAX_IDS_PER_CALL));
  }

  async #send(batch: readonly Work[]): Promise<void> {
    this.#acking += 1;
    const left = await this.#tryAcknowledge(batch);
    this.#acking -= 1;
    if (left.length === 0) {
      this.#failures = 0;
    } else {
      this.#acks = [...left, ...this.#acks];
      void this.#retryLater();
    }
    this.#onProgress();
  }

  async #retryLater(): Promise<void> {
    if (this.#backingOff) return;
    this.#backingOff = true;
    await this.#context.backOff(++this.#failures, this.#closing.signal);
    this.#backingOff = false;
    if (this.#acks.length > 0) this.#schedule();
  }

  /** Returns those that must be tried again. */
  async #tryAcknowledge(batch: readonly Work[]): Promise<readonly Work[]> {
    const sureSinceMs = this.#context.nowMs() - this.#context.options.leaseMs * SURE_PART_OF_LEASE;
    const sure: Work[] = [];
    const late: Work[] = [];
    const guarded: Work[] = [];
    for (const work of batch) {
      if (work.state !== 'settling') continue;
      if (work.sharedKey !== undefined && work.reason === 'handled') guarded.push(work);
      else (work.touchedAtMs > sureSinceMs ? sure : late).push(work);
    }
    if (late.length + guarded.length === 0) return this.#acknowledgeSure(sure);
    const { parts, call } = this.#context;
    const left = await Promise.all([
      this.#acknowledgeSure(sure),
      this.#acknowledgeFenced(late, () => parts.transport.acknowledgeOwned(this.#context.owned(late), call)),
      this.#acknowledgeFenced(guarded, () => this.#tellHandled(guarded)),
    ]);
    return left.flat();
  }

  async #acknowledgeSure(works: readonly Work[]): Promise<readonly Work[]> {
    if (works.length === 0) return works;
    const { parts, options, call } = this.#context;
    const ids = works.map(({ id }) => id);
    try {
      await parts.transport.acknowledge(options.stream, options.group, ids, call);
    } catch (error) {
      return this.#unsure('acknowledge', works, error);
    }
    this.#ledger.acknowledged(works);
    return [];
  }

  /** In one step with the acknowledgement: nobody sees the one without the other. */
  #tellHandled(works: readonly Work[]): Promise<readonly string[]> {
    const { parts, options, call, guardWindowMs: windowMs } = this.#context;
    const { stream, group, consumer } = options;
    const events = works.map(({ id: entryId, sharedKey: key = '' }) => ({ entryId, key }));
    return parts.transport.acknowledgeHandled({ stream, group, consumer, windowMs, events }, call);
  }

  /** The lease may have passed: only what is still ours is acknowledged, whose ids `acknowledge` resolves to. */
  async #acknowledgeFenced(
    works: readonly Work[],
    acknowledge: () => Promise<readonly string[]>,
  ): Promise<readonly Work[]> {
    if (works.length === 0) return works;
    let rest: readonly Work[];
    try {
      const owned = new Set(await acknowledge());
      // Not ours after a call whose answer was lost: that call did it.
      this.#ledger.acknowledged(works.filter((work) => owned.has(work.id) || work.unsure));
      rest = works.filter(isSettling);
    } catch (error) {
      return this.#unsure('acknowledge', works, error);
    }
    try {
      await this.#owners.judge(rest);
    } catch (error) {
      this.#context.failed('acknowledge', error);
      return rest;
    }
    // Pending nowhere: there is nothing left to acknowledge.
    this.#ledger.acknowledged(rest.filter(({ orphan }) => orphan));
    return rest.filter(isSettling);
  }

  #unsure(what: string, works: readonly Work[], error: unknown): readonly Work[] {
    for (const work of works) work.unsure = true;
    this.#context.failed(what, error);
    return works;
  }

  async #buryAll(): Promise<void> {
    for (let next = this.#burials.shift(); next !== undefined; next = this.#burials.shift()) {
      for (let failures = 1; !(await this.#bury(next)); failures++) {
        await this.#context.backOff(failures, this.#closing.signal);
        if (this.#closing.signal.aborted) break;
      }
      if (this.#closing.signal.aborted) break;
      this.#onProgress();
    }
    this.#burying -= 1;
    this.#onProgress();
  }

  async #bury({ work, cause }: Burial): Promise<boolean> {
    const { parts, options, call } = this.#context;
    const { stream, group, consumer } = options;
    const { entryId, payload, signature } = work.entry;
    const { deliveryCount, type: messageType, eventId, came } = work;
    const fields = deadLetterFields({
      ...{ stream, group, consumer, entryId, deliveryCount, messageType, eventId },
      ...{ reason: cause.code, error: cause.error, firstAtMs: came.wallMs, lastAtMs: parts.clock.wallMs() },
    });
    const deadLetterStream = parts.streams.deadLetter;
    const place = { stream, group, consumer, entryId, payload, signature };
    const { deadLetterMaxLength: maxLength, deadLetterMaxBytes: maxBytes = 0, onLettersCut: onCut } = parts;
    const bounds = { maxLength, maxBytes, ...(onCut && { onCut }) };
    const letter = { ...place, deadLetterStream, fields, ...bounds };
    try {
      const moved = await parts.transport.deadLetter(letter, call);
      if (moved === 'not-owned') return await this.#buryUnowned(work, cause, letter);
      this.#buried(work, cause);
      return true;
    } catch (error) {
      this.#context.failed('dead-letter', error);
      return false;
    }
  }

  /** Where nobody has the entry, these bytes are the last: the letter is written from them. */
  async #buryUnowned(work: Work, cause: Cause, letter: DeadLetterRequest): Promise<boolean> {
    await this.#owners.judge([work]);
    if (!isSettling(work)) return true;
    if (!work.orphan) return false;
    if (letter.payload.length === 0) {
      this.#ledger.end(work, 'lost');
      return true;
    }
    await this.#context.parts.transport.storeLetter(letter, this.#context.call);
    this.#buried(work, cause);
    return true;
  }

  #buried(work: Work, { code, error }: Cause): void {
    const { counters, options, parts } = this.#context;
    const { stream, group } = options;
    counters.deadLetter(code);
    this.#ledger.end(work, 'deadLettered');
    const { id: entryId, messageType, deliveryCount } = work;
    const times = counters.times(`dead letter ${code}`);
    if (isPowerOfTwo(times)) {
      const fields = { code, stream, group, entryId, messageType, deliveryCount, times };
      parts.logger.warn(fields, `entry dead-lettered: ${error}`);
    }
    try {
      parts.observer?.deadLettered?.({ stream, group, entryId, code, messageType });
    } catch (thrown) {
      this.#context.failed('observer', thrown);
    }
  }
}

function isSettling({ state }: Work): boolean {
  return state === 'settling';
}
