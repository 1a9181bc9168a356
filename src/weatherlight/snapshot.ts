import type { EmergencyLevel } from '../leyline/messages.ts';
import type { EmergencyReaderStats } from '../oona/emergency-stats.ts';
import type { Degraded } from '../signals/types.ts';
import type { BusState } from './bus-link.ts';
import type { DetectionSnapshot } from './detection.ts';
import type { HaltSnapshot } from './halt.ts';

export interface LastError {
  readonly where: string;
  readonly code: string;
  readonly message: string;
  /** Unix time, milliseconds. */
  readonly wallMs: number;
}

/** The supervisor's health, in memory; plain data. */
export interface WeatherlightSnapshot {
  readonly state: 'created' | 'running' | 'stopping' | 'stopped';
  /** Unix time, milliseconds; 0 before the start. */
  readonly startedAtMs: number;
  readonly uptimeS: number;
  readonly hostId: string;
  readonly runId: string;
  readonly signal: {
    readonly name: string;
    readonly kind: 'shared' | 'process-local';
    readonly degraded: Degraded | undefined;
    readonly level: EmergencyLevel;
    readonly generation: number;
    /** Segments watched: more than one while the name leads to another file than running trainers have open. */
    readonly segments: number;
  };
  readonly bus: {
    readonly kind: 'redis' | 'memory' | 'none';
    readonly state: BusState;
    readonly reader: EmergencyReaderStats | undefined;
  };
  readonly detections: DetectionSnapshot;
  readonly outbox: {
    readonly pending: number;
    readonly published: number;
    readonly failed: number;
    readonly overwritten: number;
  };
  readonly telemetryWaiting: number;
  readonly halt: HaltSnapshot | undefined;
  /** Trainers that live but are silent for longer than their phase allows. */
  readonly staleTrainers: readonly string[];
  /** Names of the loops that run. */
  readonly tasks: readonly string[];
  /** Sources and sinks that have failed and wait to be started again; 'givenUp': they are not. */
  readonly troubles: readonly { readonly part: string; readonly state: string; readonly error: string }[];
  /** Newest last; they expire after ten minutes. */
  readonly lastErrors: readonly LastError[];
}
