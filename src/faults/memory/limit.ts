import { totalmem } from 'node:os';
import type { NativeMemorySource } from '../../native/memory-contract.ts';
import { CGROUP_FILES, type CgroupLimit, CgroupLimits, type FoundCgroup } from './cgroup-limits.ts';
import type { CgroupPlace } from './cgroup-paths.ts';
import { type KernelFiles, numberAfter } from './files.ts';
import type { Troubles } from './troubles.ts';

/** Who set the limit. */
export type MemoryLimitSource = 'option' | 'cgroup-v1' | 'cgroup-v2' | 'MEMORY_LIMIT' | 'physical';

export interface MemoryLimit {
  readonly limitBytes: number;
  readonly source: MemoryLimitSource;
  /** File that says so; '' where none does. */
  readonly path: string;
}

export interface MemoryLimits {
  /** The smallest, by which the process is known. */
  readonly limit: MemoryLimit;
  /** What the sampler reads: the limit, and whatever else of the hierarchy has one, which may be fuller. */
  readonly watched: readonly NativeMemorySource[];
  /** For pressure and kills; undefined when no memory cgroup is to be seen. */
  readonly cgroup: CgroupPlace | undefined;
}

/** As many as the native sampler takes. */
const MAX_WATCHED = 8;
const KIB = 1024;

/**
 * The limits that this process meets: `explicitBytes`, else those of its cgroup hierarchy, else `environmentBytes`,
 * else the physical memory. A cgroup's that is larger than the physical memory is none.
 */
export class MemoryLimitFinder {
  readonly #files: KernelFiles;
  readonly #cgroups: CgroupLimits;
  readonly #troubles: Troubles;
  readonly #explicitBytes: number | undefined;
  readonly #environmentBytes: number | undefined;
  #physicalBytes = 0;

  constructor(
    files: KernelFiles,
    troubles: Troubles,
    explicitBytes: number | undefined,
    environmentBytes: number | undefined,
  ) {
    this.#files = files;
    this.#troubles = troubles;
    this.#cgroups = new CgroupLimits(files, troubles);
    this.#explicitBytes = explicitBytes;
    this.#environmentBytes = environmentBytes;
  }

  /** Reads the files anew. Never throws. */
  find(): MemoryLimits {
    const found = this.#cgroups.find();
    const physicalBytes = this.#physical();
    if (this.#explicitBytes !== undefined) return this.#ofProcess(this.#explicitBytes, 'option', found);
    const limits = found.limits.filter(({ limitBytes }) => limitBytes < physicalBytes);
    const [smallest] = limits;
    if (smallest !== undefined) {
      const { limitBytes, path, version } = smallest;
      return {
        limit: {
          limitBytes,
          source: version === 1 ? 'cgroup-v1' : 'cgroup-v2',
          path: this.#files.path(path),
        },
        watched: limits.slice(0, MAX_WATCHED).map((one) => this.#ofCgroup(one)),
        cgroup: found.place,
      };
    }
    if (this.#environmentBytes !== undefined)
      return this.#ofProcess(this.#environmentBytes, 'MEMORY_LIMIT', found);
    return {
      limit: { limitBytes: physicalBytes, source: 'physical', path: this.#files.path('/proc/meminfo') },
      watched: [this.#ofHost(physicalBytes)],
      cgroup: found.place,
    };
  }

  /** Working set: what a cgroup uses less the page cache that the kernel drops first. */
  #ofCgroup({ version, folder, limitBytes }: CgroupLimit): NativeMemorySource {
    const { usage, inactive } = CGROUP_FILES[version];
    return {
      label: `cgroup v${version} ${folder}`,
      ...{ usagePath: this.#files.path(`${folder}/${usage}`), usageKey: '', usageField: 0 },
      ...{ deductPath: this.#files.path(`${folder}/memory.stat`), deductKey: inactive },
      ...{ unitBytes: 1, limitBytes },
    };
  }

  /** A limit that nobody but us knows of is one of this process: what others use does not count against it. */
  #ofProcess(limitBytes: number, source: 'option' | 'MEMORY_LIMIT', { place }: FoundCgroup): MemoryLimits {
    const resident: NativeMemorySource = {
      label: source === 'option' ? 'memoryLimitBytes' : source,
      ...{ usagePath: this.#files.path('/proc/self/status'), usageKey: 'VmRSS:', usageField: 0 },
      ...{ deductPath: '', deductKey: '', unitBytes: KIB, limitBytes },
    };
    return { limit: { limitBytes, source, path: '' }, watched: [resident], cgroup: place };
  }

  #ofHost(limitBytes: number): NativeMemorySource {
    return {
      label: 'physical memory',
      ...{ usagePath: this.#files.path('/proc/meminfo'), usageKey: 'MemTotal:', usageField: 0 },
      ...{ deductPath: '', deductKey: 'MemAvailable:', unitBytes: KIB, limitBytes },
    };
  }

  #physical(): number {
    const path = '/proc/meminfo';
    const reading = this.#files.read(path);
    const kib = 'text' in reading ? numberAfter(reading.text, 'MemTotal:') : undefined;
    if (kib !== undefined && kib > 0) this.#physicalBytes = kib * KIB;
    else if ('text' in reading)
      this.#troubles.note('ESPER_MEMORY_FORMAT', this.#files.path(path), 'no MemTotal');
    else if (process.platform === 'linux')
      this.#troubles.note('ESPER_MEMORY_UNREADABLE', this.#files.path(path), reading.failed);
    return this.#physicalBytes || totalmem();
  }
}

/** Whether the sampler would read the same of both. */
export function sameWatched(a: readonly NativeMemorySource[], b: readonly NativeMemorySource[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
