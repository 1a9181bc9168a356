/** What the native addon tells of participants; see contract.ts. */

export interface NativeParticipant {
  readonly slot: number;
  readonly pid: number;
  /** Process start time, clock ticks since boot (/proc/<pid>/stat field 22). */
  readonly startTimeTicks: bigint;
  readonly role: string;
  readonly name: string;
  readonly alive: boolean;
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly heartbeatNs: bigint;
  /** Number of the phase, see docs/shm-format.md. */
  readonly phase: number;
  /** It asked not to be judged for now. */
  readonly suspended: boolean;
  /** Longest silence allowed in what it does now, milliseconds; 0: not judged. */
  readonly limitMs: number;
  /** Silence beyond the limit, milliseconds; 0: not stale, not judged, or dead. */
  readonly staleForMs: number;
  readonly seenGeneration: number;
  readonly acknowledgedGeneration: number;
}

/** A participant that fell silent, beats again, or ended while it was silent. */
export interface NativeStaleNotice {
  readonly change: 'stale' | 'recovered' | 'gone';
  readonly member: NativeParticipant;
}
