import type { Clock } from '../../core/clock.ts';
import { errorCode, errorMessage } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { Metrics } from '../../core/metrics.ts';
import type { WorkTransport } from '../transport/work.ts';
import type { ErrorEvents } from './error-events.ts';
import type { PublishRole } from './message-kinds.ts';

export interface StreamTrimsParts {
  readonly transport: Pick<WorkTransport, 'trim'>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly events: ErrorEvents;
  readonly ttlMs: number;
  readonly maxLength: number;
  readonly intervalMs: number;
  readonly deadlineMs: number;
}

const REMOVED = 'oona.publish.trimmed_total';
const CUT_UNREAD = 'oona.publish.cut_unread_total';
const FAILED = 'oona.publish.trim_failed_total';

/**
 * Trims the streams that are published to, in the background: what every group has acknowledged and is older than the
 * TTL, and what is beyond the hard cap. The emergency stream is trimmed by its appends.
 */
export class StreamTrims {
  readonly #parts: StreamTrimsParts;
  readonly #dueAtMs: Partial<Record<PublishRole, number>> = {};
  readonly #running = new Set<Promise<void>>();

  constructor(parts: StreamTrimsParts) {
    this.#parts = parts;
  }

  /** After an append. */
  appended(role: PublishRole, stream: string, nowMs: number): void {
    if (role === 'emergency' || nowMs < (this.#dueAtMs[role] ?? 0)) return;
    this.#dueAtMs[role] = nowMs + this.#parts.intervalMs;
    const running: Promise<void> = this.#trim(role, stream).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** A trim cut what somebody still needed. */
  cutUnread(role: PublishRole, stream: string, count: number): void {
    const { metrics, events, maxLength } = this.#parts;
    metrics.increment(CUT_UNREAD, count);
    events.raise('cut-unread', role, count, () => ({ stream, maxStreamLength: String(maxLength) }));
  }

  /** Resolves when no trim is under way; each has its own deadline. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  async #trim(role: PublishRole, stream: string): Promise<void> {
    const { transport, metrics, logger, ttlMs, maxLength, deadlineMs } = this.#parts;
    try {
      const { removed, cutUnread } = await transport.trim({ stream, ttlMs, maxLength }, { deadlineMs });
      if (removed > 0) metrics.increment(REMOVED, removed);
      if (cutUnread > 0) this.cutUnread(role, stream, cutUnread);
    } catch (error) {
      metrics.increment(FAILED);
      logger.debug({ stream, code: errorCode(error) }, `stream not trimmed: ${errorMessage(error)}`);
    }
  }
}
