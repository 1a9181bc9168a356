import { errorCode } from '../core/errors.ts';
import { EmergencyLevel } from '../leyline/messages.ts';
import { cutUtf8, TEXT_BOUNDS, wellFormed } from '../native/strings.ts';
import type { EmergencyRecord, EmergencySignal, EmergencyState } from '../signals/types.ts';
import type { EmergencyController } from './controller-types.ts';
import { TolariaError } from './errors.ts';
import { raisesBehind } from './flag-access.ts';
import type { GuardEventBody } from './guard-types.ts';

export interface HaltWatchOptions {
  readonly controller: EmergencyController;
  readonly participantName: string;
  readonly obeyForeignRuns: boolean;
  readonly report: (event: GuardEventBody) => void;
}

const HALT = EmergencyLevel.EMERGENCY_LEVEL_HALT;
/** A flag that moves on under each of so many looks is looked at again with the next step. */
const MAX_LOOKS = 8;
/** Signal objects that a guard uses now. */
const inUse = new WeakSet<EmergencySignal>();

/**
 * This trainer as a participant of the host's flag: it has seen what is raised, and it acknowledges a HALT when it
 * stops for it, so that the supervisor can name who has not.
 */
export class HaltWatch {
  readonly #signal: EmergencySignal;
  readonly #options: HaltWatchOptions;
  /** A record keeps this much of a run id. */
  readonly #runId: string;
  readonly #unsubscribe: () => void;
  /** Segment that the generations below belong to. */
  #segmentId = '';
  #seenGeneration = 0;
  /** Generation that `#stop` is about. */
  #decidedGeneration: number | undefined;
  #stop = false;
  #broken = false;

  constructor(options: HaltWatchOptions) {
    this.#options = options;
    this.#signal = options.controller.signal;
    this.#runId = cutUtf8(wellFormed(options.controller.runId), TEXT_BOUNDS.runId);
    this.#join();
    inUse.add(this.#signal);
    this.#unsubscribe = this.#subscribe();
  }

  /** Call when the flag is found cleared: the next HALT is a new one. */
  resume(): void {
    this.#stop = false;
  }

  /** Call while the flag's level is above 0: notes what was seen; true when this trainer has to stop. */
  mustStop(): boolean {
    try {
      const stop = this.#look();
      this.#broken = false;
      return stop;
    } catch (error) {
      // Once, not with every step that follows.
      if (!this.#broken) this.#options.report({ type: 'environment', what: 'look at the flag', error });
      this.#broken = true;
      // Without details the level decides, and stopping wrongly costs less than not stopping.
      return this.#signal.level() === HALT;
    }
  }

  close(): void {
    inUse.delete(this.#signal);
    this.#unsubscribe();
    this.#try('leave', () => this.#signal.leave());
  }

  /** Throws when the signal's slot speaks for somebody else already: a HALT would count as acknowledged by both. */
  #join(): void {
    const { name } = this.#signal;
    if (inUse.has(this.#signal)) {
      const message = `signal ${name}: another guard uses this signal object; open the signal once for each guard`;
      throw new TolariaError('ESPER_TOLARIA_SIGNAL_IN_USE', message);
    }
    try {
      this.#signal.join('trainer', this.#options.participantName);
    } catch (error) {
      if (errorCode(error) === 'ESPER_SIGNAL_ALREADY_JOINED') throw error;
      this.#options.report({ type: 'environment', what: 'join (emergency flag)', error });
    }
  }

  #look(): boolean {
    for (let i = 0; i < MAX_LOOKS; i++) {
      const seen = this.#read();
      this.#markSeen(seen.generation);
      if (seen.generation === this.#decidedGeneration) return this.#stop;
      if (seen.level !== HALT) return this.#decide(seen.generation, false);
      const { halts, obeyed } = this.#halts(seen);
      if (!obeyed) {
        this.#reportForeign(halts);
        return this.#decide(seen.generation, false);
      }
      const acknowledged = this.#signal.acknowledge(seen);
      if (!acknowledged) continue;
      const wasStopped = this.#stop;
      this.#decide(seen.generation, true);
      if (!wasStopped) this.#reportHalt(halts.at(-1));
      return true;
    }
    return this.#signal.level() === HALT;
  }

  /** A flag that followed its name counts anew: what was decided about a generation of the old segment is void. */
  #read(): EmergencyState {
    const { segmentId } = this.#signal;
    if (segmentId !== this.#segmentId) {
      this.#segmentId = segmentId;
      this.#decidedGeneration = undefined;
      this.#seenGeneration = 0;
    }
    return this.#signal.read();
  }

  #decide(generation: number, stop: boolean): boolean {
    this.#decidedGeneration = generation;
    this.#stop = stop;
    return stop;
  }

  /** The HALTs behind the flag's level, and whether one is for this run. One that the ring lost is obeyed. */
  #halts(seen: EmergencyState): { halts: EmergencyRecord[]; obeyed: boolean } {
    const { raises, complete } = raisesBehind(this.#signal.history(), seen);
    const halts = raises.filter((record) => record.level === HALT);
    const obeyed =
      !complete ||
      this.#options.obeyForeignRuns ||
      halts.some(({ runId }) => runId === '' || runId === this.#runId);
    return { halts, obeyed };
  }

  #reportForeign(halts: readonly EmergencyRecord[]): void {
    const { signalId = '', runId = '' } = halts.at(-1) ?? {};
    this.#options.report({ type: 'foreignHalt', signalId, runId });
  }

  #reportHalt(halt: EmergencyRecord | undefined): void {
    const { signalId = '', reason = '' } = halt ?? {};
    this.#options.report({ type: 'halt', signalId, reason, acknowledged: true });
  }

  #markSeen(generation: number): void {
    if (generation === this.#seenGeneration) return;
    this.#signal.markSeen(generation);
    this.#seenGeneration = generation;
  }

  /** Between steps the event loop is free: clears of others need not wait for the next step. */
  #subscribe(): () => void {
    let unsubscribe = (): void => undefined;
    this.#try('subscribe', () => {
      unsubscribe = this.#signal.subscribe(() => this.#try('look at the flag', () => this.#onChange()));
    });
    return unsubscribe;
  }

  #onChange(): void {
    // Stopped already, it is frozen for every further HALT too, although it calls step() no more.
    if (this.#stop) this.#look();
    else this.#markSeen(this.#read().generation);
  }

  #try(what: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#options.report({ type: 'environment', what: `${what} (emergency flag)`, error });
    }
  }
}
