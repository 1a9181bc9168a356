import { OptionError } from '../core/errors.ts';
import { refuseUnknownKeys } from '../core/options.ts';
import type { NativeParticipant } from '../native/contract.ts';
import { generationReached } from '../native/generations.ts';
import { requireUint32 } from './errors.ts';
import type { FlagHandle } from './flag-handle.ts';
import type {
  Acknowledgements,
  DeadlineStats,
  JoinOptions,
  Participant,
  Participation,
  StaleEvent,
} from './participant-types.ts';
import { type Phase, type PhaseLimitsMs, phaseName, requirePhase, resolveLimits } from './phases.ts';
import type { EndScope } from './pulse.ts';

const NS_PER_MS = 1e6;

export function toParticipant(native: NativeParticipant): Participant {
  return { ...native, phase: phaseName(native.phase), stale: native.staleForMs > 0 };
}

/** What emergency and rollback signal have in common as far as their participants are concerned. */
export class FlagParticipation implements Participation {
  readonly #handle: FlagHandle;

  constructor(handle: FlagHandle) {
    this.#handle = handle;
  }

  join(role: string, name: string, options: JoinOptions = {}): number {
    const { pulse } = this.#handle;
    refuseUnknownKeys('join', options, ['limitsMs', 'phase']);
    const limits = resolveLimits('join', pulse.limits, options.limitsMs ?? {});
    const phase = options.phase === undefined ? undefined : requirePhase('join', options.phase);
    const slot = this.#handle.join(role, name);
    pulse.limits = limits;
    if (phase !== undefined) pulse.phase = phase;
    return slot;
  }

  leave(): void {
    this.#handle.leave();
  }

  setLimits(limitsMs: Partial<PhaseLimitsMs>): void {
    const { pulse } = this.#open;
    pulse.limits = resolveLimits('setLimits', pulse.limits, limitsMs);
  }

  heartbeat(): void {
    if (!this.#handle.pulse.beat()) void this.#handle.flag;
  }

  phase(phase: Phase): void {
    this.#open.pulse.phase = requirePhase('phase', phase);
  }

  during<T>(phase: Phase, run: () => T): T {
    const end = this.#open.pulse.enter({ phase: requirePhase('during', phase), suspends: false });
    let result: T;
    try {
      result = run();
    } catch (error) {
      end();
      throw error;
    }
    if (result instanceof Promise) return result.finally(end) as T;
    end();
    return result;
  }

  suspend(phase?: Phase): EndScope {
    if (phase !== undefined) requirePhase('suspend', phase);
    return this.#open.pulse.enter({ phase, suspends: true });
  }

  markSeen(generation: number): void {
    this.#handle.flag.markSeen(requireUint32('markSeen', 'generation', generation));
  }

  participants(): readonly Participant[] {
    return this.#handle.flag.participants().map(toParticipant);
  }

  acknowledgements(generation: number): Acknowledgements {
    requireUint32('acknowledgements', 'generation', generation);
    const all = this.participants();
    const missing = all.filter((one) => !generationReached(one.acknowledgedGeneration, generation));
    return {
      generation,
      seen: all.filter((one) => generationReached(one.seenGeneration, generation)),
      acknowledged: all.filter((one) => generationReached(one.acknowledgedGeneration, generation)),
      missing: {
        live: missing.filter((one) => one.alive && !one.stale),
        stale: missing.filter((one) => one.alive && one.stale),
        dead: missing.filter((one) => !one.alive),
      },
    };
  }

  onStale(listener: (event: StaleEvent) => void): () => void {
    if (typeof listener !== 'function') throw new OptionError('onStale: the listener must be a function');
    return this.#open.stale.subscribe(({ change, member }) =>
      listener({ type: change, participant: toParticipant(member) }),
    );
  }

  deadlineStats(): DeadlineStats {
    const stats = this.#handle.flag.deadlineStats();
    return {
      armed: stats.armed,
      fired: stats.fired,
      overrunMaxMs: stats.overrunMaxNs / NS_PER_MS,
      overrunP50Ms: stats.overrunP50Ns / NS_PER_MS,
      overrunP99Ms: stats.overrunP99Ns / NS_PER_MS,
    };
  }

  /** Throws SignalClosedError after close(). */
  get #open(): FlagHandle {
    void this.#handle.flag;
    return this.#handle;
  }
}
