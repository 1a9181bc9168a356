import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type MemoryCgroup, makeMemoryCgroup } from '../../test/helpers/memory-cgroup.ts';

/** What the kernel says of a memory cgroup, read from outside of it. */
export interface WatchedCgroup extends MemoryCgroup {
  readonly limitBytes: number;
  /** Processes that were killed in it for want of memory. */
  oomKills(): number;
  /** What cannot be had back at once: usage less the page cache that the kernel drops first. */
  workingSetBytes(): number;
}

/** Throws with one line where there is no memory cgroup, or no right to make one. */
export function makeCgroup(limitBytes: number): WatchedCgroup {
  const cgroup = makeMemoryCgroup(limitBytes);
  const isV1 = cgroup.version === 1;
  const read = (file: string): string => readFileSync(join(cgroup.folder, file), 'utf8');
  const inactive = isV1 ? 'total_inactive_file' : 'inactive_file';
  return {
    ...cgroup,
    limitBytes,
    oomKills: () => numberAfter(read(isV1 ? 'memory.oom_control' : 'memory.events'), 'oom_kill'),
    workingSetBytes: () => Math.max(0, cgroup.usageBytes() - numberAfter(read('memory.stat'), inactive)),
  };
}

function numberAfter(text: string, key: string): number {
  const found = new RegExp(`^${key} (\\d+)$`, 'm').exec(text)?.[1];
  if (found === undefined) throw new Error(`the kernel does not tell ${key}`);
  return Number(found);
}

/** How full a cgroup is, looked at from outside every few milliseconds: what its own monitor says is held against this. */
export class Onlooker {
  readonly #timer: NodeJS.Timeout;
  #peak = 0;

  constructor(cgroup: WatchedCgroup, everyMs = 3) {
    this.#timer = setInterval(() => {
      this.#peak = Math.max(this.#peak, cgroup.workingSetBytes() / cgroup.limitBytes);
    }, everyMs);
  }

  /** Highest share of the limit that was seen. */
  get peak(): number {
    return this.#peak;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** Of the limit: before, a process that starts is measured; after, one that the kernel holds up. */
const PACE_FROM = 0.4;
const PACE_TO = 0.95;

/** How fast a cgroup fills. */
export class Pace {
  readonly #timer: NodeJS.Timeout;
  #first: { readonly bytes: number; readonly atMs: number } | undefined;
  #most = 0;
  #bytesPerSecond = 0;

  constructor(cgroup: WatchedCgroup) {
    this.#timer = setInterval(() => {
      const bytes = cgroup.usageBytes();
      const share = bytes / cgroup.limitBytes;
      // Less than before: it was killed, and is being taken apart.
      if (share < PACE_FROM || share > PACE_TO || bytes < this.#most) return;
      this.#most = bytes;
      const atMs = performance.now();
      this.#first ??= { bytes, atMs };
      const { bytes: firstBytes, atMs: firstMs } = this.#first;
      if (atMs > firstMs) this.#bytesPerSecond = ((bytes - firstBytes) / (atMs - firstMs)) * 1000;
    }, 1);
  }

  get bytesPerSecond(): number {
    return this.#bytesPerSecond;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
