import type { Acknowledgement } from './acknowledgement.ts';
import type { Backlog } from './backlog.ts';
import type { QueueLimits, ResolvedBusOptions, ResolvedSubscriptionOptions } from './bus-options.ts';
import { PipelineError } from './errors.ts';
import type { HandlerCalls } from './handler-calls.ts';
import { limitsOf } from './limits.ts';
import type { WaitingPublishers } from './waiting-publishers.ts';

export interface AdmissionParts {
  readonly bus: ResolvedBusOptions;
  readonly options: ResolvedSubscriptionOptions;
  readonly backlog: Backlog<unknown>;
  readonly waiting: Pick<WaitingPublishers<unknown>, 'size' | 'bytes'>;
  readonly calls: Pick<HandlerCalls<unknown>, 'isStuck'>;
}

/** What the limits of a subscription say to an event that comes. Changes nothing. */
export class Admission {
  readonly #parts: AdmissionParts;
  /** The subscription's own limits; those of the backlog are what overrides make of them. */
  base: QueueLimits;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
    this.base = limitsOf(parts.options);
  }

  /** Must a publisher that finds no room wait? */
  blocks(): boolean {
    const { policy, dropSlow } = this.#parts.backlog.limits;
    return policy === 'block' && !dropSlow && !this.isStuck();
  }

  isStuck(): boolean {
    return this.#parts.calls.isStuck;
  }

  canEvictFor(size: number): boolean {
    const { backlog } = this.#parts;
    return backlog.limits.policy === 'dropOldest' && !this.isStuck() && backlog.fitsAfterEviction(size);
  }

  /** Why an event of this size is not taken; undefined when it is, perhaps after a wait. */
  refusal(size: number, ack: Acknowledgement | undefined): PipelineError | undefined {
    const { backlog, waiting, options } = this.#parts;
    const { maxBytes } = this.base;
    if (size > maxBytes) {
      const text = `${this.#where()}: an event of ${size} bytes is larger than maxBytes (${maxBytes})`;
      return new PipelineError('ESPER_PIPELINE_TOO_LARGE', text);
    }
    const unable = ack === undefined ? undefined : this.#unableToAcknowledge(ack);
    if (unable !== undefined) return unable;
    const blocks = this.blocks();
    if (waiting.size === 0 && (blocks || backlog.fits(size))) return undefined;
    if (blocks) {
      const isFull = waiting.size >= options.maxWaiting || waiting.bytes + size > maxBytes;
      return isFull ? this.noRoom(`${waiting.size} publishers wait already`) : undefined;
    }
    return ack === undefined || this.canEvictFor(size) ? undefined : this.noRoom('the buffer is full');
  }

  noRoom(why: string, retryAfterMs = this.#parts.bus.retryAfterMs): PipelineError {
    return new PipelineError('ESPER_PIPELINE_REFUSED', `${this.#where()}: ${why}`, { retryAfterMs });
  }

  #unableToAcknowledge(ack: Acknowledgement): PipelineError | undefined {
    if (ack.cancelled) return this.noRoom('nobody waits for it');
    const retryAfterMs = this.#refusesFor();
    if (retryAfterMs !== undefined) return this.noRoom('the subscriber cannot take it', retryAfterMs);
    return this.isStuck() ? this.noRoom('the subscriber is stuck') : undefined;
  }

  /** One that throws cannot tell: refused for now, as an acknowledgement must be true. */
  #refusesFor(): number | undefined {
    try {
      return this.#parts.options.refuseWhile?.();
    } catch {
      return this.#parts.bus.retryAfterMs;
    }
  }

  #where(): string {
    return `bus ${this.#parts.bus.name}, subscription ${this.#parts.options.name}`;
  }
}
