import {
  type CgroupPlace,
  type CgroupVersion,
  candidates,
  hierarchy,
  memoryMounts,
  memoryPaths,
} from './cgroup-paths.ts';
import { type KernelFiles, numberAfter } from './files.ts';
import type { Troubles } from './troubles.ts';

/** A limit of a cgroup that this process counts against. */
export interface CgroupLimit {
  readonly version: CgroupVersion;
  readonly limitBytes: number;
  /** Folder whose usage is compared with it. */
  readonly folder: string;
  /** File that says so. */
  readonly path: string;
}

export interface FoundCgroup {
  /** Where the process is; undefined when no memory cgroup is to be seen. */
  readonly place: CgroupPlace | undefined;
  /** Of the hierarchy, the smallest first. */
  readonly limits: readonly CgroupLimit[];
}

/** Names of what a cgroup tells about memory. */
export const CGROUP_FILES = Object.freeze({
  1: Object.freeze({
    limit: 'memory.limit_in_bytes',
    usage: 'memory.usage_in_bytes',
    inactive: 'total_inactive_file',
  }),
  2: Object.freeze({ limit: 'memory.max', usage: 'memory.current', inactive: 'inactive_file' }),
});

/** Page-aligned INT64_MAX (version 1, any page size) and UINT64_MAX are ways to write that there is no limit. */
const NO_LIMIT_FROM_BYTES = 2 ** 62;

/**
 * The limits of the memory cgroup of this process and of those above it. A limit that was read before and cannot be
 * now stays what it was.
 */
export class CgroupLimits {
  readonly #files: KernelFiles;
  readonly #troubles: Troubles;
  #lastGood = new Map<string, number>();
  #lastFound: FoundCgroup | undefined;
  #lastText = '';

  constructor(files: KernelFiles, troubles: Troubles) {
    this.#files = files;
    this.#troubles = troubles;
  }

  find(): FoundCgroup {
    const cgroup = this.#files.read('/proc/self/cgroup');
    const mountinfo = this.#files.read('/proc/self/mountinfo');
    if ('failed' in cgroup) return this.#withoutProc('/proc/self/cgroup', cgroup.failed);
    if ('failed' in mountinfo) return this.#withoutProc('/proc/self/mountinfo', mountinfo.failed);
    const place = this.#place(cgroup.text, mountinfo.text);
    const last = this.#lastFound;
    // Nobody moved this process, and its cgroup cannot end while it is in it: the mount is what went.
    if (last?.place !== undefined && cgroup.text === this.#lastText && place?.folder !== last.place.folder) {
      this.#troubles.note('ESPER_MEMORY_UNREADABLE', this.#files.path(last.place.folder), 'ENOENT');
      return last;
    }
    this.#lastText = cgroup.text;
    const known = new Map<string, number>();
    const limits = place === undefined ? [] : this.#limits(place, known);
    this.#lastGood = known;
    this.#lastFound = { place, limits: limits.sort((a, b) => a.limitBytes - b.limitBytes) };
    return this.#lastFound;
  }

  /** Where there is no /proc (another system than Linux) there are no cgroups either: nothing is wrong with that. */
  #withoutProc(path: string, failed: string): FoundCgroup {
    if (failed !== 'ENOENT' || this.#lastFound !== undefined) {
      this.#troubles.note('ESPER_MEMORY_UNREADABLE', this.#files.path(path), failed);
    }
    return this.#lastFound ?? { place: undefined, limits: [] };
  }

  /** Memory is a controller of one of the versions: of the first where version 1 has a path for it. */
  #place(cgroup: string, mountinfo: string): CgroupPlace | undefined {
    const paths = memoryPaths(cgroup);
    const mounts = memoryMounts(mountinfo);
    for (const version of [1, 2] as const) {
      const path = paths[version];
      if (path === undefined) continue;
      for (const mount of mounts.filter((one) => one.version === version)) {
        const folder = candidates(mount, path).find((one) => this.#files.isDirectory(one));
        if (folder !== undefined) return { version, folder, mountPoint: mount.mountPoint };
      }
    }
    return undefined;
  }

  #limits(place: CgroupPlace, known: Map<string, number>): CgroupLimit[] {
    const { version, folder } = place;
    const limits: CgroupLimit[] = [];
    const add = (path: string, of: string, limitBytes: number | undefined): void => {
      if (limitBytes === undefined) return;
      known.set(path, limitBytes);
      if (limitBytes < NO_LIMIT_FROM_BYTES) limits.push({ version, limitBytes, folder: of, path });
    };
    for (const one of hierarchy(place)) {
      const path = `${one}/${CGROUP_FILES[version].limit}`;
      add(path, one, this.#readLimit(path, version));
    }
    if (version === 2) return limits;
    // What lies above the mount point is seen here alone; the usage there is not, that of this cgroup stands in.
    const stat = `${folder}/memory.stat`;
    const above = this.#readStat(stat);
    const smallest = Math.min(...limits.map(({ limitBytes }) => limitBytes));
    if (above !== undefined && above < smallest) add(stat, folder, above);
    else if (above !== undefined) known.set(stat, above);
    return limits;
  }

  #readLimit(path: string, version: CgroupVersion): number | undefined {
    const before = this.#lastGood.get(path);
    const reading = this.#files.read(path);
    if ('failed' in reading) {
      // In version 2 the root has no such file, nor has a cgroup without the controller.
      const usual = version === 2 && reading.failed === 'ENOENT' && before === undefined;
      if (!usual) this.#troubles.note('ESPER_MEMORY_UNREADABLE', this.#files.path(path), reading.failed);
      return before;
    }
    const text = reading.text.trim();
    if (text === 'max') return NO_LIMIT_FROM_BYTES;
    if (/^\d{1,20}$/.test(text) && Number(text) > 0) return Number(text);
    this.#troubles.note(
      'ESPER_MEMORY_FORMAT',
      this.#files.path(path),
      `${JSON.stringify(text.slice(0, 40))} is no limit`,
    );
    return before;
  }

  #readStat(path: string): number | undefined {
    const reading = this.#files.read(path);
    const found = 'text' in reading ? numberAfter(reading.text, 'hierarchical_memory_limit') : undefined;
    if (found !== undefined && found > 0) return found;
    if ('failed' in reading)
      this.#troubles.note('ESPER_MEMORY_UNREADABLE', this.#files.path(path), reading.failed);
    else this.#troubles.note('ESPER_MEMORY_FORMAT', this.#files.path(path), 'no hierarchical_memory_limit');
    return this.#lastGood.get(path);
  }
}
