import type { NativeParticipant } from '../native/contract.ts';
import type { Phase, PhaseLimitsMs } from './phases.ts';
import type { EndScope } from './pulse.ts';

export interface Participant extends Omit<NativeParticipant, 'phase'> {
  /** 'unknown': a later version's. */
  readonly phase: Phase | 'unknown';
  /** Alive, but silent for longer than its phase allows. */
  readonly stale: boolean;
}

export interface JoinOptions {
  /** How long it may be silent in each phase. Default: as before, at first 0, that is not judged. */
  readonly limitsMs?: Partial<PhaseLimitsMs>;
  /** Default: as before, at first 'idle'. `leave` forgets both. */
  readonly phase?: Phase;
}

/** Where the participants stand with a generation. Dead ones that have answered are counted as what they answered. */
export interface Acknowledgements {
  readonly generation: number;
  /** Have seen it, or a later one; those that acknowledged included. */
  readonly seen: readonly Participant[];
  readonly acknowledged: readonly Participant[];
  /** Have not acknowledged, whether they have seen it or not. */
  readonly missing: {
    /** Will, as far as anybody can tell. */
    readonly live: readonly Participant[];
    /** Run or are stopped, but their loop is silent for longer than their phase allows. */
    readonly stale: readonly Participant[];
    readonly dead: readonly Participant[];
  };
}

export interface StaleEvent {
  /** 'gone': it left or died while it was stale. */
  readonly type: 'stale' | 'recovered' | 'gone';
  /** As it was when that was noticed. */
  readonly participant: Participant;
}

export interface DeadlineStats {
  readonly armed: number;
  readonly fired: number;
  /** From the deadline to the flag being set, milliseconds, within 0.4 %; 0 while none fired. */
  readonly overrunMaxMs: number;
  readonly overrunP50Ms: number;
  readonly overrunP99Ms: number;
}

/** Being one of those that a flag is shared by. One slot a signal object. */
export interface Participation {
  /** Registers this process, so that clears wait for it and halts are acknowledged by name. Throws when full. */
  join(role: string, name: string, options?: JoinOptions): number;
  leave(): void;
  /** Changes the limits that are given. Throws OptionError. */
  setLimits(limitsMs: Partial<PhaseLimitsMs>): void;
  /**
   * "My loop runs": to be called from the loop that is to be watched, as often as it turns, never from a timer. No
   * native call, some 30 ns. Does nothing before `join`.
   */
  heartbeat(): void;
  /** What it does from now on, outside of `during`. Counts as a heartbeat. */
  phase(phase: Phase): void;
  /**
   * Runs `run` in that phase, with its limit, until it returned, threw, or its promise settled. Scopes nest: the one
   * entered last of those still open is shown; the phase outside of all of them follows.
   */
  during<T>(phase: Phase, run: () => T): T;
  /**
   * Not judged until the returned function is called, and while any other suspension is open; others see that. `phase`:
   * what it does meanwhile, as `during`. Prefer `during` and a limit: a suspended participant may hang unnoticed.
   */
  suspend(phase?: Phase): EndScope;
  markSeen(generation: number): void;
  participants(): readonly Participant[];
  acknowledgements(generation: number): Acknowledgements;
  /**
   * Told once when a participant falls silent for longer than its phase allows, and once when it beats again or ends.
   * Found by this process's native thread, 20 ms late at most while this event loop is free. Participants that are stale
   * already are told at once. Holds the process open as a watch does. Returns the unsubscribe.
   */
  onStale(listener: (event: StaleEvent) => void): () => void;
  /** Of the native deadlines that this object armed. `fired` and the overruns count those of heartbeats too. */
  deadlineStats(): DeadlineStats;
}
