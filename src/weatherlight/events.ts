import type { Clock } from '../core/clock.ts';
import { errorMessage } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';

/** How an emergency was noticed. */
export type DetectionPath = 'shared-memory' | 'stream';

/** One participant's answer to a HALT. */
export interface HaltAnswer {
  readonly name: string;
  readonly pid: number;
  /** 'gone': its process died or left before it acknowledged; it trains no more either way. */
  readonly outcome: 'acknowledged' | 'gone' | 'waiting';
  /** Its loop is silent for longer than its phase allows: it will not answer by itself. */
  readonly stale: boolean;
  /** From the HALT's trigger to the moment the outcome was noticed, milliseconds; for 'waiting' until now. */
  readonly latencyMs: number;
}

export interface EmergencySummary {
  readonly signalId: string;
  readonly level: number;
  readonly reason: string;
  readonly origin: string;
  readonly runId: string;
  readonly step: number;
}

/** What Weatherlight tells its subscribers. Plain JSON: `--json-events` prints each as one line. */
export type WeatherlightEventBody =
  | { readonly type: 'started'; readonly hostId: string; readonly runId: string; readonly signalName: string }
  | { readonly type: 'signalDegraded'; readonly code: string; readonly reason: string }
  | {
      readonly type: 'detected';
      readonly path: DetectionPath;
      readonly emergency: EmergencySummary;
      /** From trigger() entered to here, milliseconds; undefined when the clocks are of different boots. */
      readonly latencyMs: number | undefined;
      /** Raised for another training run. */
      readonly foreignRun: boolean;
    }
  | { readonly type: 'duplicateDetection'; readonly path: DetectionPath; readonly signalId: string }
  | {
      readonly type: 'cleared';
      readonly clearedSignalId: string;
      readonly signalId: string;
      readonly forced: boolean;
    }
  | { readonly type: 'foreignRun'; readonly emergency: EmergencySummary; readonly obeyed: boolean }
  | {
      readonly type: 'bridged';
      readonly signalId: string;
      readonly level: number;
      readonly latencyMs: number | undefined;
    }
  | { readonly type: 'bridgedClear'; readonly clearedSignalId: string; readonly outcome: BridgedClearOutcome }
  | {
      readonly type: 'outboxPublished';
      readonly signalId: string;
      readonly via: 'emergency' | 'telemetry';
      /** 'duplicate': another process had published it, only the mark was missing. */
      readonly outcome: 'published' | 'duplicate';
      readonly ageMs: number;
    }
  | {
      readonly type: 'outboxFailed';
      readonly signalId: string;
      readonly code: string;
      readonly reason: string;
    }
  | { readonly type: 'outboxOverwritten'; readonly count: number }
  | { readonly type: 'haltStarted'; readonly signalId: string; readonly waitingFor: readonly string[] }
  | {
      readonly type: 'haltStragglers';
      readonly signalId: string;
      readonly afterMs: number;
      readonly stragglers: readonly HaltAnswer[];
    }
  | {
      readonly type: 'haltAcknowledged';
      readonly signalId: string;
      readonly late: boolean;
      readonly participants: readonly HaltAnswer[];
    }
  /** Nobody is waited for any more, but some ended without acknowledging: killed, or gone before it was seen. */
  | {
      readonly type: 'haltUnanswered';
      readonly signalId: string;
      readonly late: boolean;
      readonly gone: readonly string[];
      readonly participants: readonly HaltAnswer[];
    }
  | { readonly type: 'haltWithdrawn'; readonly signalId: string; readonly waitedFor: readonly string[] }
  /** A trainer lives, but its loop is silent for longer than its phase allows; told once, and when that ends. */
  | {
      readonly type: 'trainerStale';
      readonly name: string;
      readonly pid: number;
      readonly phase: string;
      readonly limitMs: number;
      readonly silentMs: number;
    }
  | {
      /** 'trainerGone': it left or died while it was silent. */
      readonly type: 'trainerRecovered' | 'trainerGone';
      readonly name: string;
      readonly pid: number;
      readonly phase: string;
    }
  | { readonly type: 'telemetryPublished'; readonly packetId: string; readonly signalId: string }
  | { readonly type: 'telemetryDropped'; readonly packetId: string; readonly reason: string }
  | { readonly type: 'busState'; readonly state: 'up' | 'away' | 'disabled'; readonly kind: string }
  /** An entry of the emergency stream was refused: bad signature, too old, unreadable, or trimmed unread. */
  | { readonly type: 'rejected'; readonly code: string; readonly reason: string; readonly entryId: string }
  | { readonly type: 'watchGap'; readonly overruns: number; readonly holes: number }
  | { readonly type: 'nameMoved'; readonly signalName: string; readonly reattached: boolean }
  | { readonly type: 'error'; readonly code: string; readonly where: string; readonly message: string }
  | { readonly type: 'stopping'; readonly deadlineMs: number }
  | { readonly type: 'stopped'; readonly clean: boolean; readonly unfinished: readonly string[] };

export type BridgedClearOutcome =
  | 'cleared'
  | 'forced'
  /** The flag was not set any more. */
  | 'not-set'
  /** Another emergency stands that this clear does not cover. */
  | 'other-emergency'
  /** Kept changing; given up after the bounded retries. */
  | 'gave-up';

export type WeatherlightEvent = WeatherlightEventBody & {
  /** Unix time, milliseconds; for people. */
  readonly wallMs: number;
  /** CLOCK_MONOTONIC, milliseconds: comparable between the processes of one boot. */
  readonly monotonicMs: number;
};

export type EventListener = (event: WeatherlightEvent) => void;

export interface EventHub {
  emit(body: WeatherlightEventBody): void;
  /** Returns the unsubscribe. */
  subscribe(listener: EventListener): () => void;
}

/** A listener that throws is logged and reaches neither the supervisor nor the other listeners. */
export function createEventHub(clock: Clock, logger: Logger): EventHub {
  const listeners = new Set<EventListener>();
  return {
    emit(body) {
      if (listeners.size === 0) return;
      const event = Object.freeze({ ...body, wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs() });
      for (const listener of listeners) {
        try {
          listener(event);
        } catch (error) {
          logger.error({ event: body.type, error: errorMessage(error) }, 'an event listener threw');
        }
      }
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
