import { systemClock } from '../core/clock.ts';
import type { NativeFlag } from '../native/contract.ts';
import { NO_LIMITS, PHASES, type Phase, type PhaseLimitsMs } from './phases.ts';

const PHASE_WORD = 2;
const LIMIT_WORD = 7;
const SUSPENDED = 0x100;

/** Ends what a scope began; a second call does nothing. `using` calls it at the end of the block. */
export type EndScope = (() => void) & Disposable;

interface Scope {
  readonly phase: Phase | undefined;
  readonly suspends: boolean;
}

/** The flag is held with the views: were it collected, its slot would go to somebody else, and the views with it. */
interface OwnSlot {
  readonly flag: NativeFlag;
  readonly beats: BigUint64Array;
  readonly words: Int32Array;
}

/**
 * The part of the own slot that says "I am alive, and this is what I do", written by this process without native
 * calls. Keeps phase and scopes while there is no slot, and shows them in the next one.
 */
export class Pulse {
  readonly #scopes: Scope[] = [];
  #limits: PhaseLimitsMs = NO_LIMITS;
  #phase: Phase = 'idle';
  #slot: OwnSlot | undefined;

  get limits(): PhaseLimitsMs {
    return this.#limits;
  }

  set limits(limits: PhaseLimitsMs) {
    this.#limits = limits;
    this.#show();
  }

  /** The phase outside of all scopes. */
  set phase(phase: Phase) {
    this.#phase = phase;
    this.#show();
  }

  /** Shows itself in the slot of that flag, if it has one. */
  attach(flag: NativeFlag): void {
    const bytes = flag.pulse();
    this.#slot = bytes && { flag, beats: new BigUint64Array(bytes), words: new Int32Array(bytes) };
    this.#show();
  }

  /** As `detach`; what comes next begins anew. */
  leave(): void {
    this.detach();
    this.#scopes.length = 0;
    this.#limits = NO_LIMITS;
    this.#phase = 'idle';
  }

  /** Before the slot is given back: from then on its bytes may be somebody else's. */
  detach(): void {
    this.#slot = undefined;
  }

  /** False without a slot. */
  beat(): boolean {
    if (this.#slot === undefined) return false;
    this.#slot.beats[0] = systemClock.monotonicNs();
    return true;
  }

  enter(scope: Scope): EndScope {
    this.#scopes.push(scope);
    this.#show();
    const end = (): void => {
      const at = this.#scopes.indexOf(scope);
      if (at === -1) return;
      this.#scopes.splice(at, 1);
      this.#show();
    };
    return Object.assign(end, { [Symbol.dispose]: end });
  }

  #show(): void {
    const words = this.#slot?.words;
    if (words === undefined || !this.beat()) return;
    const phase = this.#scopes.findLast((scope) => scope.phase !== undefined)?.phase ?? this.#phase;
    const suspended = this.#scopes.some((scope) => scope.suspends);
    // Heartbeat, phase, limit: whoever judges reads the limit first, and a change never looks like silence.
    Atomics.store(words, PHASE_WORD, PHASES.indexOf(phase) | (suspended ? SUSPENDED : 0));
    Atomics.store(words, LIMIT_WORD, suspended ? 0 : this.#limits[phase]);
  }
}
