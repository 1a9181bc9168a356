import { existsSync } from 'node:fs';
import { errorCode, errorMessage } from '../../core/errors.ts';
import type { EmergencyLevel } from '../../leyline/messages.ts';
import type {
  NativeMemoryPlan,
  NativeMemorySample,
  NativeMemorySampler,
  NativeMemorySource,
  NativeModule,
} from '../../native/contract.ts';
import { createTwin } from '../../native/twin.ts';
import type { EmergencySignal } from '../../signals/types.ts';
import type { ResolvedMemoryOptions } from './options.ts';
import type { Troubles } from './troubles.ts';

/** What CRITICAL is raised on, and with what. */
export interface MemoryAlarm {
  readonly signal: EmergencySignal;
  readonly level: EmergencyLevel;
  readonly origin: string;
  readonly runId: string;
}

const REASON = 'memory critical';

/**
 * The native sampler, or the one on a timer where that cannot be had or the signal is not of its module: pressure is
 * watched either way, and `native` says which.
 */
export class MemorySampler {
  readonly #options: ResolvedMemoryOptions;
  readonly #alarm: MemoryAlarm | undefined;
  readonly #troubles: Troubles;
  #sampler: NativeMemorySampler;
  #watched: readonly NativeMemorySource[];
  #faults = 0;
  #plans = 1;
  /** A file could not be read at the latest look. */
  #unreadable = false;

  constructor(
    module: NativeModule,
    options: ResolvedMemoryOptions,
    watched: readonly NativeMemorySource[],
    alarm: MemoryAlarm | undefined,
    troubles: Troubles,
  ) {
    this.#options = options;
    this.#watched = watched;
    this.#alarm = alarm;
    this.#troubles = troubles;
    this.#sampler = this.#orTwin('open', () => module.openMemorySampler(this.#plan()));
    this.#arm();
  }

  get native(): boolean {
    return this.#sampler.native;
  }

  configure(watched: readonly NativeMemorySource[]): void {
    this.#watched = watched;
    this.#plans += 1;
    this.#sampler.configure(this.#plan());
  }

  /**
   * Opens the files again when one could not be read and all are there now: what was put there anew is another file than
   * the one that is open. Else they are left alone, as what is open keeps its last value.
   */
  reopen(): void {
    if (!this.#unreadable) return;
    const paths = this.#watched.flatMap(({ usagePath, deductPath }) => [usagePath, deductPath]);
    if (paths.every((path) => path === '' || existsSync(path))) this.configure(this.#watched);
  }

  /** Raises what the native thread cannot know of: the heap of V8. Never throws. */
  raise(reason: string): boolean {
    const alarm = this.#alarm;
    if (alarm === undefined) return false;
    try {
      alarm.signal.trigger(alarm.level, { reason, origin: alarm.origin, runId: alarm.runId });
      return true;
    } catch (error) {
      this.#trouble('raise', error);
      return false;
    }
  }

  /** Undefined when no whole sample could be had. Failures of sources are told as troubles. */
  read(): NativeMemorySample | undefined {
    const sample = this.#sampler.read();
    if (sample !== undefined) this.#noteFaults(sample);
    return sample;
  }

  close(): void {
    if (this.#alarm !== undefined) this.#quietly(() => this.#alarm?.signal.disarmMemory(this.#sampler));
    this.#sampler.close();
  }

  #plan(): NativeMemoryPlan {
    const { intervalMs, nearIntervalMs, criticalThreshold, margin, dwellMs } = this.#options;
    return { sources: this.#watched, intervalMs, nearIntervalMs, criticalThreshold, margin, dwellMs };
  }

  #arm(): void {
    const alarm = this.#alarm;
    if (alarm === undefined) return;
    const { signal, level, origin, runId } = alarm;
    const fields = { reason: REASON, origin, runId };
    try {
      signal.armMemory(this.#sampler, level, fields);
    } catch (error) {
      // A signal in plain JavaScript, where even private memory could not be had: the addon cannot raise it.
      this.#sampler.close();
      this.#faults = 0;
      this.#sampler = this.#orTwin('arm', () => {
        throw error;
      });
      this.#quietly(() => signal.armMemory(this.#sampler, level, fields));
    }
  }

  #orTwin(what: string, open: () => NativeMemorySampler): NativeMemorySampler {
    try {
      return open();
    } catch (error) {
      this.#trouble(what, error);
      return createTwin().openMemorySampler(this.#plan());
    }
  }

  #quietly(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#trouble('signal', error);
    }
  }

  #trouble(what: string, error: unknown): void {
    this.#troubles.note(
      'ESPER_MEMORY_SAMPLER',
      what,
      `${errorCode(error) ?? ''} ${errorMessage(error)}`.trim(),
    );
  }

  #noteFaults(sample: NativeMemorySample): void {
    const { fault, faults, faultSource, faultErrno, faultInDeduction } = sample;
    // Of the plan before: its sources are others.
    if (sample.plan !== this.#plans) return;
    const more = faults - this.#faults;
    this.#faults = faults;
    this.#unreadable = more > 0 && fault !== 'format';
    if (more <= 0) return;
    const source = this.#watched[faultSource];
    const deductPath = source?.deductPath || source?.usagePath;
    const path = (faultInDeduction ? deductPath : source?.usagePath) ?? '';
    if (fault === 'format') this.#troubles.note('ESPER_MEMORY_FORMAT', path, 'no whole number', more);
    else this.#troubles.note('ESPER_MEMORY_UNREADABLE', path, `${fault}: errno ${faultErrno}`, more);
  }
}
