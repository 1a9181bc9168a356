import { isPowerOfTwo } from '../emergency-stats.ts';
import type { ConsumerContext } from './context.ts';
import type { ConsumerCounter } from './counters.ts';
import { type Cause, deadLetterFields } from './dead-letter-fields.ts';
import type { Ledger } from './ledger.ts';
import type { Work } from './work.ts';

/** Why an entry is acknowledged; 'lost' ones are nowhere but in the pending list. */
export type AckReason = Extract<ConsumerCounter, 'handled' | 'skipped' | 'redelivered' | 'lost'>;

interface Ack {
  readonly work: Work;
  readonly reason: AckReason;
}

interface Burial {
  readonly work: Work;
  readonly cause: Cause;
}

const MAX_IDS_PER_CALL = 1000;
const BURIALS_AT_ONCE = 16;
/** Beyond this many undecided dead letters nothing more is read: their payloads are in memory. */
const MAX_BURIALS = 256;
/** Of a lease: until then nobody can have taken the entry over, whatever the round trip takes. */
const SURE_PART_OF_LEASE = 2 / 3;

/** Tells the engine what was decided, until it has heard: acknowledgements in batches, dead letters a few at a time. */
export class Settler {
  readonly #context: ConsumerContext;
  readonly #ledger: Ledger;
  readonly #onProgress: () => void;
  readonly #closing = new AbortController();
  #acks: Ack[] = [];
  #acking = false;
  readonly #burials: Burial[] = [];
  #burying = 0;

  constructor(context: ConsumerContext, ledger: Ledger, onProgress: () => void) {
    this.#context = context;
    this.#ledger = ledger;
    this.#onProgress = onProgress;
  }

  /** Something is decided that the engine has not confirmed. */
  get busy(): boolean {
    return this.#acking || this.#acks.length > 0 || this.#burying > 0 || this.#burials.length > 0;
  }

  get crowded(): boolean {
    return this.#burials.length + this.#burying >= MAX_BURIALS;
  }

  acknowledge(work: Work, reason: AckReason): void {
    work.state = 'settling';
    this.#acks.push({ work, reason });
    if (this.#acking || this.#closing.signal.aborted) return;
    this.#acking = true;
    // All that is decided in one turn goes in one call.
    queueMicrotask(() => void this.#acknowledgeAll());
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

  async #acknowledgeAll(): Promise<void> {
    let failures = 0;
    while (this.#acks.length > 0 && !this.#closing.signal.aborted) {
      const batch = this.#acks.slice(0, MAX_IDS_PER_CALL);
      this.#acks = this.#acks.slice(MAX_IDS_PER_CALL);
      const left = await this.#tryAcknowledge(batch);
      failures = left.length === 0 ? 0 : failures + 1;
      if (left.length === 0) continue;
      this.#acks = [...left, ...this.#acks];
      await this.#context.backOff(failures, this.#closing.signal);
    }
    this.#acking = false;
    this.#onProgress();
  }

  /** Returns those that must be tried again. */
  async #tryAcknowledge(batch: readonly Ack[]): Promise<readonly Ack[]> {
    const { nowMs, sureUntilMs } = { nowMs: this.#context.nowMs(), sureUntilMs: this.#sureMs() };
    const sure: Ack[] = [];
    const late: Ack[] = [];
    for (const ack of batch) {
      if (ack.work.state !== 'settling') continue;
      (nowMs - ack.work.touchedAtMs < sureUntilMs ? sure : late).push(ack);
    }
    const left = await Promise.all([this.#acknowledgeSure(sure), this.#acknowledgeLate(late)]);
    return left.flat();
  }

  #sureMs(): number {
    return this.#context.options.leaseMs * SURE_PART_OF_LEASE;
  }

  async #acknowledgeSure(acks: readonly Ack[]): Promise<readonly Ack[]> {
    if (acks.length === 0) return acks;
    const { parts, options, call } = this.#context;
    const ids = acks.map(({ work }) => work.id);
    try {
      await parts.transport.acknowledge(options.stream, options.group, ids, call);
    } catch (error) {
      return this.#unsure('acknowledge', acks, error);
    }
    for (const ack of acks) this.#acknowledged(ack);
    return [];
  }

  /** The lease may have passed: only what is still ours may be acknowledged. */
  async #acknowledgeLate(acks: readonly Ack[]): Promise<readonly Ack[]> {
    if (acks.length === 0) return acks;
    const { parts, call } = this.#context;
    let owned: Set<string>;
    try {
      const works = acks.map(({ work }) => work);
      owned = new Set(await parts.transport.acknowledgeOwned(this.#context.owned(works), call));
    } catch (error) {
      return this.#unsure('acknowledge', acks, error);
    }
    for (const ack of acks) {
      // Not ours after a call whose answer was lost: that call did it.
      if (owned.has(ack.work.id) || ack.work.unsure) this.#acknowledged(ack);
      else this.#ledger.notOwned(ack.work);
    }
    return [];
  }

  #unsure(what: string, acks: readonly Ack[], error: unknown): readonly Ack[] {
    for (const { work } of acks) work.unsure = true;
    this.#context.failed(what, error);
    return acks;
  }

  #acknowledged({ work, reason }: Ack): void {
    if (work.state === 'gone') return;
    if (reason === 'lost') {
      this.#ledger.end(work, 'lost');
      return;
    }
    this.#context.counters.count(reason);
    this.#ledger.end(work, 'acknowledged');
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
    const fields = deadLetterFields(work, cause, options, parts.clock.wallMs());
    const deadLetterStream = parts.streams.deadLetter;
    const place = { stream, group, consumer, entryId, payload, signature };
    try {
      const maxLength = parts.deadLetterMaxLength;
      const moved = await parts.transport.deadLetter({ ...place, deadLetterStream, fields, maxLength }, call);
      if (moved === 'moved') this.#buried(work, cause);
      else this.#ledger.notOwned(work);
      return true;
    } catch (error) {
      this.#context.failed('dead-letter', error);
      return false;
    }
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
