import type { Clock } from '../core/clock.ts';
import { errorCode, errorMessage } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { KeyRing } from '../leyline/key-ring.ts';
import { type OpenedDelivery, openDelivery } from './emergency-delivery.ts';
import { type EmergencyCounters, isPowerOfTwo } from './emergency-stats.ts';
import type { RetryList } from './retry-list.ts';
import type { SeenSet } from './seen-set.ts';
import type { StreamEntry } from './transport/transport.ts';
import type { EmergencyDelivery, EmergencyHandler } from './types.ts';

/** A message that was refused (and is among the dead letters) or lost; it never reaches the handler. */
export interface RejectedEmergency {
  /** `ESPER_LEYLINE_…` or `ESPER_OONA_…`; ESPER_OONA_LOST when it was trimmed before this host read it. */
  readonly code: string;
  readonly reason: string;
  readonly stream: string;
  readonly entryId: string;
  readonly deliveryCount: number;
}

export interface Refusal {
  readonly code: string;
  readonly reason: string;
}

/** 'done': to be acknowledged. 'later': waits for another try. Refused: to be kept among the dead letters. */
export type Taken = 'done' | 'later' | { readonly refused: Refusal };

export interface InboxOptions {
  readonly handler: EmergencyHandler;
  readonly onBacklog: ((deliveries: readonly EmergencyDelivery[]) => void) | undefined;
  readonly onRejected: ((rejected: RejectedEmergency) => void) | undefined;
  readonly keyRing: KeyRing | undefined;
  readonly maxPayloadBytes: number;
  readonly maxAgeMs: number;
  readonly maxFutureSkewMs: number;
  readonly handlerTimeoutMs: number;
  readonly seen: SeenSet;
  readonly retries: RetryList;
  readonly counters: EmergencyCounters;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Decides about one entry at a time: whatever is wrong with it stays with it. */
export class EmergencyInbox {
  readonly #options: InboxOptions;

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  /** Never rejects. */
  async take(entry: StreamEntry): Promise<Taken> {
    const { retries } = this.#options;
    const opened = this.#open(entry);
    if (opened !== undefined && 'refused' in opened) return opened;
    if (opened === undefined || this.#wasHandled(entry, opened)) {
      retries.settle(entry.entryId);
      return 'done';
    }
    return (await this.#handle(entry, opened)) ? 'done' : 'later';
  }

  /** Shows what is good of a backlog to who asked for it; nothing is counted or refused before its turn. Never throws. */
  preview(entries: readonly StreamEntry[]): void {
    const { onBacklog, clock, logger } = this.#options;
    if (onBacklog === undefined || entries.length === 0) return;
    const nowMs = clock.wallMs();
    const deliveries = entries.flatMap((entry) => {
      try {
        const opened = entry.lost ? undefined : openDelivery(entry, { ...this.#options, nowMs });
        return opened === undefined ? [] : [opened.delivery];
      } catch {
        return [];
      }
    });
    try {
      onBacklog(deliveries);
    } catch (error) {
      logger.error({}, `onBacklog threw: ${errorMessage(error)}`);
    }
  }

  /** Undefined when there is nothing to handle: lost, or no emergency. */
  #open(entry: StreamEntry): OpenedDelivery | { readonly refused: Refusal } | undefined {
    const { clock, counters } = this.#options;
    if (entry.lost) {
      counters.count('lost');
      this.#report(entry, 'ESPER_OONA_LOST', 'trimmed from the stream before it was handled', 1);
      return undefined;
    }
    try {
      const opened = openDelivery(entry, { ...this.#options, nowMs: clock.wallMs() });
      if (opened === undefined) counters.count('skipped');
      return opened;
    } catch (error) {
      const refused = { code: errorCode(error) ?? 'ESPER_OONA_UNREADABLE', reason: errorMessage(error) };
      this.#report(entry, refused.code, refused.reason, counters.reject(refused.code));
      return { refused };
    }
  }

  /** The engine hands out an entry again when only its acknowledgement was lost; publishers may send an event twice. */
  #wasHandled(entry: StreamEntry, { eventId }: OpenedDelivery): boolean {
    const { seen, counters } = this.#options;
    const handledAs = seen.find(eventId);
    if (handledAs === undefined) return false;
    counters.count(handledAs === entry.entryId ? 'redelivered' : 'duplicates');
    return true;
  }

  async #handle(entry: StreamEntry, { delivery, eventId }: OpenedDelivery): Promise<boolean> {
    const { seen, retries, counters, clock, logger } = this.#options;
    try {
      await this.#callHandler(delivery);
    } catch (error) {
      const times = counters.count('handlerFailures');
      if (isPowerOfTwo(times)) {
        const fields = {
          eventId,
          entryId: entry.entryId,
          deliveryCount: entry.deliveryCount,
          failures: times,
        };
        logger.error(fields, `handler of an emergency failed; it is tried again: ${errorMessage(error)}`);
      }
      retries.postpone(entry, clock.monotonicMs());
      return false;
    }
    seen.add(eventId, entry.entryId);
    retries.settle(entry.entryId);
    counters.count('delivered');
    return true;
  }

  /** A handler that hangs must not keep the HALT behind it from being heard. */
  async #callHandler(delivery: EmergencyDelivery): Promise<void> {
    const { handler, handlerTimeoutMs, clock } = this.#options;
    const handled = handler(delivery);
    if (handled === undefined) return;
    const done = new AbortController();
    const timeout = clock.sleep(handlerTimeoutMs, done.signal, { keepAlive: true }).then(() => {
      throw new Error(`the handler took longer than ${handlerTimeoutMs} ms (handlerTimeoutMs)`);
    });
    try {
      await Promise.race([handled, timeout]);
    } finally {
      timeout.catch(() => undefined);
      done.abort();
    }
  }

  #report(entry: StreamEntry, code: string, reason: string, times: number): void {
    const { onRejected, logger } = this.#options;
    const { stream, entryId, deliveryCount } = entry;
    if (isPowerOfTwo(times)) {
      logger.warn({ code, stream, entryId, times }, `emergency refused: ${reason}`);
    }
    try {
      onRejected?.({ code, reason, stream, entryId, deliveryCount });
    } catch (error) {
      logger.error({ code, entryId }, `onRejected threw: ${errorMessage(error)}`);
    }
  }
}
