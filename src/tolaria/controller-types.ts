import type { Clock } from '../core/clock.ts';
import type { FastpathError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Metrics } from '../core/metrics.ts';
import type { Random } from '../core/random.ts';
import type { EmergencyLevel } from '../leyline/messages.ts';
import type { EmergencyPublisher } from '../oona/types.ts';
import type { ClearResult, EmergencySignal } from '../signals/types.ts';

export interface EmergencyControllerOptions {
  /** This host's flag. The caller opens and closes it. */
  readonly signal: EmergencySignal;
  /** Without one the flag is all there is here; a supervisor of the host publishes the records. */
  readonly bus?: EmergencyPublisher;
  /** Training run that the emergencies are about; up to 96 bytes. */
  readonly runId: string;
  /** Component named in the records, up to 64 bytes. Default 'tolaria'. */
  readonly origin?: string;
  /** Default: the host's name. */
  readonly hostId?: string;
  /** Default: this boot's id, '' where the system tells none. */
  readonly bootId?: string;
  /** False: emergencies go out with telemetry, never to the emergency stream. The flag works as ever. Default true. */
  readonly fastPathEnabled?: boolean;
  /** Repeats that may go to the emergency stream, a minute, 0-1000000. Raises and HALT are never held. Default 60. */
  readonly bypassMaxPerMin?: number;
  /** Publishes under way at once, 1-64. Raises and HALT start beyond it. Default 8. */
  readonly maxInFlight?: number;
  /** Bound on each publish, milliseconds, 1-600000. Default 2000. */
  readonly publishDeadlineMs?: number;
  /** Back-off between tries of one emergency, milliseconds, 1-600000. Default 50 to 5000. */
  readonly retryBaseMs?: number;
  readonly retryCapMs?: number;
  /** Gets each latency from raise to published, nanoseconds; a LatencyHistogram fits. */
  readonly histogram?: { record(ns: number): void };
  readonly clock?: Clock;
  readonly random?: Random;
  readonly metrics?: Metrics;
  readonly logger?: Logger;
}

/** Where an emergency leaves the host by. 'flag': it does not (no bus, closed, or too much is waiting already). */
export type Route = 'emergency' | 'telemetry' | 'flag';

/** What escalate() did, known at once; how the publish ended comes as an event with the same signal id. */
export interface Escalation {
  readonly signalId: string;
  /** Level asked for. */
  readonly level: EmergencyLevel;
  /** Level of the flag before and right after. */
  readonly previousLevel: EmergencyLevel;
  readonly currentLevel: EmergencyLevel;
  /** False: the flag stood at this level or above already and this is a repeat. */
  readonly raised: boolean;
  readonly route: Route;
  /** Wanted the emergency stream and was sent as telemetry by the bypass cap. */
  readonly capped: boolean;
  /** CLOCK_MONOTONIC of the record, nanoseconds. */
  readonly monotonicNs: bigint;
  /** Set when the flag could not be set (it was closed): the bus was tried all the same. */
  readonly error: FastpathError | undefined;
}

export interface EscalateFields {
  /** Why, for people; the flag stores the first 384 bytes. */
  readonly reason: string;
  /** Training step, a safe integer from 0. */
  readonly step: number;
}

export interface ControllerClearFields {
  readonly reason: string;
  /** Lower it although a live participant has not seen it; recorded as forced. Default false. */
  readonly force?: boolean;
  /**
   * Clear only if every raise since the last clear carries one of these ids or was withdrawn by the guard that raised
   * it; else the outcome is 'superseded'.
   */
  readonly raisedBy?: ReadonlySet<string>;
}

interface EventBase {
  readonly signalId: string;
  /** CLOCK_MONOTONIC when it happened, nanoseconds. */
  readonly monotonicNs: bigint;
}

export type ControllerEvent =
  | (EventBase & {
      readonly type: 'raised';
      readonly level: EmergencyLevel;
      readonly previousLevel: EmergencyLevel;
      /** True: the flag stood at this level or above already. */
      readonly repeat: boolean;
      readonly reason: string;
      readonly step: number;
    })
  | (EventBase & {
      readonly type: 'published';
      readonly route: 'emergency' | 'telemetry';
      readonly stream: string;
      readonly entryId: string;
      /** Somebody else had published it. */
      readonly duplicate: boolean;
      /** From the raise to the entry being stored, milliseconds. */
      readonly latencyMs: number;
    })
  | (EventBase & {
      readonly type: 'failed';
      readonly route: 'emergency' | 'telemetry';
      readonly code: string;
      readonly reason: string;
      /** 1 for the first try. */
      readonly attempt: number;
      /** False: left to the ring of the flag, from which the supervisor publishes. */
      readonly willRetry: boolean;
    })
  | (EventBase & { readonly type: 'capped'; readonly level: EmergencyLevel })
  | (EventBase & {
      readonly type: 'cleared';
      readonly clearedSignalId: string;
      readonly clearedLevel: EmergencyLevel;
      readonly forced: boolean;
    });

export type ControllerListener = (event: ControllerEvent) => void;

export interface EmergencyController {
  /** Level of the host's flag now, 0-4. No native call. */
  readonly level: EmergencyLevel;
  readonly signal: EmergencySignal;
  readonly runId: string;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
  /**
   * Sets the flag, then starts publishing in the background; returns before the publish ends. Raises at once and
   * never lowers. Throws only `OptionError`, for a level outside 1-4 or a bad field: what the environment does
   * (flag closed, bus away, bus throwing) is in the result and the events, never an exception into the training.
   */
  escalate(level: EmergencyLevel, fields: EscalateFields): Escalation;
  /**
   * For an emergency of this host's flag that was raised without this controller, as a native deadline does: counts it,
   * publishes it under its own id with what its record holds, unless somebody has by now, and emits 'raised'. Call it
   * once for each. False when the ring does not hold a raise of this host with that id. Never throws.
   */
  announce(signalId: string): boolean;
  /**
   * Lowers the flag to 0 if it still is as read here and every live participant has seen it, and records that.
   * What was on the emergency stream is cleared there too. Throws ESPER_SIGNAL_CLOSED when the flag was closed.
   */
  clear(fields: ControllerClearFields): ClearResult;
  /** Returns the unsubscribe. A listener that throws is counted and logged and disturbs nobody. */
  subscribe(listener: ControllerListener): () => void;
  /** Resolves when nothing waits to be published or `deadlineMs` (0-600000) have passed; retries that wait go at once. */
  flush(options: { readonly deadlineMs: number }): Promise<void>;
  /** Ends retries, waits for publishes under way (each has its deadline). Leaves flag and bus to their owners. */
  close(): Promise<void>;
}
