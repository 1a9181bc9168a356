import type { CircuitBreaker } from '../../core/circuit-breaker.ts';
import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import type { Metrics } from '../../core/metrics.ts';
import type { Random } from '../../core/random.ts';
import type { KeyRing } from '../../leyline/key-ring.ts';
import type { PublishObserver } from '../observe/observers.ts';
import type { StreamNames } from '../streams.ts';
import type { BusTransport } from '../transport/transport.ts';
import type { EmergencySignalMessage } from '../types.ts';
import type { BusMessage, WorkPublishOptions, WorkPublishResult } from '../work-types.ts';
import type { ConservativeMode } from './conservative-mode.ts';
import type { EngineAnswers } from './engine-answers.ts';
import type { ErrorEvents } from './error-events.ts';
import type { OutboxStats } from './outbox.ts';
import type { InternalPublishOptions, TraceContext } from './outgoing.ts';
import type { UrgentTokens } from './urgent-tokens.ts';

export interface WorkPublisherParts {
  readonly transport: BusTransport;
  readonly keyRing: KeyRing | undefined;
  readonly source: string;
  readonly streams: StreamNames;
  /** Bound on a publish whose caller names none, milliseconds. */
  readonly publishDeadlineMs: number;
  /** How long an entry is of use, milliseconds: the bus's `maxAgeMs`. */
  readonly ttlMs: number;
  /** How long an event id stays known, milliseconds. */
  readonly dedupWindowMs: number;
  readonly maxPayloadBytes: number;
  readonly breaker: CircuitBreaker;
  readonly mode: ConservativeMode;
  /** Told of every answer to what this publisher sends. */
  readonly answers: EngineAnswers;
  readonly observer: PublishObserver;
  /** The one path of emergencies, whoever asks for it. Must not reject. */
  readonly publishEmergency: (
    message: EmergencySignalMessage,
    options: WorkPublishOptions,
  ) => Promise<WorkPublishResult>;
  /**
   * Of the emergency stream: HIGH and CRITICAL messages that are no emergencies take one each, and go to the stream of
   * their type when there is none. Default: no limit.
   */
  readonly tokens?: UrgentTokens | undefined;
  readonly activeTrace?: (() => TraceContext | undefined) | undefined;
  readonly events: ErrorEvents;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

export interface WorkPublisher {
  /** Never throws and never rejects: the result says how it ended. */
  publish(message: BusMessage, options?: WorkPublishOptions): Promise<WorkPublishResult>;
  /** publish() with what only this package may ask for. */
  publishInternal(message: BusMessage, options?: InternalPublishOptions): Promise<WorkPublishResult>;
  outboxStats(): OutboxStats;
  /**
   * Sees how the engine answers, while nothing else is sent: publishes what waits longest, else pings. `answers` is told.
   * Never rejects.
   */
  probe(): Promise<void>;
  /** Refuses new publishes, waits for those under way, publishes what waits for up to `closeFlushMs`. Idempotent. */
  close(): Promise<void>;
}
