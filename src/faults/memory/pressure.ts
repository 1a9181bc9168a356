import type { CgroupPlace } from './cgroup-paths.ts';
import { type KernelFiles, numberAfter } from './files.ts';

/** What the kernel counted since the look before. Absent where the kernel does not tell it. */
export interface PressureDeltas {
  /** Processes that the kernel killed for want of memory. */
  readonly oom_kill_delta?: number;
  /** How often the limit was hit (version 1: failcnt; version 2: max of memory.events). */
  readonly failcnt_delta?: number;
  /** Time in which some, or all, tasks waited for memory, microseconds (PSI). */
  readonly psi_some_us_delta?: number;
  readonly psi_full_us_delta?: number;
}

type Counters = Partial<Record<keyof PressureDeltas, number>>;

/**
 * Context for an event, never a reason for one: a kill or a stall says that something was short of memory, not that it
 * was this process, nor that it still is.
 */
export class KernelPressure {
  readonly #files: KernelFiles;
  #before: Counters = {};
  #place: CgroupPlace | undefined;

  constructor(files: KernelFiles) {
    this.#files = files;
  }

  /** Since the last call for the same cgroup. */
  take(place: CgroupPlace | undefined): PressureDeltas {
    const now = this.#read(place);
    const moved = this.#place?.folder !== place?.folder;
    const before = moved ? {} : this.#before;
    this.#before = now;
    this.#place = place;
    const deltas: Counters = {};
    for (const key of Object.keys(now) as (keyof PressureDeltas)[]) {
      const first = before[key];
      // A counter that began anew counts nothing rather than something negative.
      if (first !== undefined) deltas[key] = Math.max(0, (now[key] ?? 0) - first);
    }
    return deltas;
  }

  #read(place: CgroupPlace | undefined): Counters {
    const counters: Counters = {};
    const take = (key: keyof PressureDeltas, found: number | undefined): void => {
      if (found !== undefined) counters[key] = found;
    };
    if (place?.version === 1) {
      take('oom_kill_delta', this.#number(`${place.folder}/memory.oom_control`, 'oom_kill'));
      take('failcnt_delta', this.#number(`${place.folder}/memory.failcnt`, ''));
    } else if (place?.version === 2) {
      take('oom_kill_delta', this.#number(`${place.folder}/memory.events`, 'oom_kill'));
      take('failcnt_delta', this.#number(`${place.folder}/memory.events`, 'max'));
    }
    const psi = this.#psi(place);
    for (const kind of ['some', 'full'] as const) {
      const total = new RegExp(`^${kind} .*\\btotal=(\\d+)`, 'm').exec(psi)?.[1];
      if (total !== undefined) take(`psi_${kind}_us_delta`, Number(total));
    }
    return counters;
  }

  /** Of the cgroup where it has its own, else of the host. */
  #psi(place: CgroupPlace | undefined): string {
    const own = place?.version === 2 ? this.#files.read(`${place.folder}/memory.pressure`) : undefined;
    if (own !== undefined && 'text' in own) return own.text;
    const host = this.#files.read('/proc/pressure/memory');
    return 'text' in host ? host.text : '';
  }

  #number(path: string, key: string): number | undefined {
    const reading = this.#files.read(path);
    return 'text' in reading ? numberAfter(reading.text, key) : undefined;
  }
}
