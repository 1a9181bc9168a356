import type { CircuitBreaker, Permit } from '../../core/circuit-breaker.ts';
import { errorCode } from '../../core/errors.ts';
import type { SignedEntry } from '../../leyline/envelope.ts';
import type { AppendRequest, AppendResult, BusTransport, CallOptions } from '../transport/transport.ts';
import { DepthGate } from './depth-gate.ts';
import type { EngineAnswers } from './engine-answers.ts';
import type { PublishRole } from './message-kinds.ts';
import type { ResolvedPublishingOptions } from './options.ts';
import { isPublishFailure } from './publish-breaker.ts';

export interface AppenderParts {
  readonly transport: BusTransport;
  readonly breaker: CircuitBreaker;
  readonly answers: EngineAnswers;
  /** Of entries on the emergency stream, milliseconds. */
  readonly ttlMs: number;
  /** Of what trimming the emergency stream cut although somebody still needed it. */
  readonly onCutUnread: (count: number, stream: string) => void;
  readonly dedupWindowMs: number;
}

export interface Appendable {
  readonly to: PublishRole;
  readonly stream: string;
  readonly entry: SignedEntry;
  readonly dedupId: string;
  /** See AppendRequest; counts with a depth limit. */
  readonly moveBelow?: number;
}

/** A time-out within less says more about the caller's haste than about the bus. */
const HASTY_DEADLINE_MS = 100;

/** One append in one round trip, and what its outcome says of the engine. */
export class Appender {
  readonly #parts: AppenderParts;
  readonly #gate: DepthGate;

  constructor(parts: AppenderParts, options: ResolvedPublishingOptions) {
    this.#parts = parts;
    this.#gate = new DepthGate(options);
  }

  /** Of what is not urgent; undefined: this one need not look at the depth. */
  depthLimit(role: PublishRole, mayReroute: boolean, nowMs: number): number | undefined {
    return this.#gate.limit(role, mayReroute, nowMs);
  }

  /** Up to which depth a message that is not stored for the limit is rerouted. */
  moveBelow(mayReroute: boolean): number {
    return this.#gate.moveBelow(mayReroute);
  }

  /** Depth before an append that did not look; see DepthGate. */
  estimatedDepth(role: PublishRole): number | undefined {
    return this.#gate.estimate(role);
  }

  /** Depth of the stream, as an answer told it. */
  measured(role: PublishRole, depth: number, nowMs: number): void {
    this.#gate.measured(role, depth, nowMs);
  }

  /** Whatever fails is a rejection. */
  append(
    { to, stream, entry, dedupId, moveBelow = 0 }: Appendable,
    depthLimit: number | undefined,
    deadlineMs: number,
    signal: AbortSignal | undefined,
  ): Promise<AppendResult> {
    const { transport, dedupWindowMs, onCutUnread } = this.#parts;
    // Nobody's unread entries are dropped for their age, but emergencies, which are of no use then.
    const ttlMs = to === 'emergency' ? this.#parts.ttlMs : 0;
    const { payload, signature } = entry;
    const plain = { stream, payload, signature, dedupId, dedupWindowMs, ttlMs, onCutUnread };
    const request: AppendRequest = depthLimit === undefined ? plain : { ...plain, depthLimit, moveBelow };
    const options: CallOptions = signal === undefined ? { deadlineMs } : { deadlineMs, signal };
    try {
      return transport.append(request, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Returns the permit of an append that was answered, `latencyMs` after it was sent. */
  answered(permit: Permit, latencyMs: number): void {
    const { breaker, answers } = this.#parts;
    breaker.succeed(permit);
    answers.answered(latencyMs);
  }

  /** Returns the permit of an append that failed. */
  judge(permit: Permit, error: unknown, deadlineMs: number): void {
    const { breaker, answers } = this.#parts;
    const isHasty = deadlineMs < HASTY_DEADLINE_MS && errorCode(error) === 'ESPER_OONA_TIMEOUT';
    if (isHasty) breaker.cancel(permit);
    else {
      breaker.judge(permit, error);
      if (isPublishFailure(error)) answers.failed();
    }
  }
}
