import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { memoryMounts } from '../../src/faults/memory/cgroup-paths.ts';
import { until } from './until.ts';

/** A real cgroup with a limit on memory, of whichever version this host accounts memory in. */
export interface MemoryCgroup {
  readonly version: 1 | 2;
  readonly folder: string;
  /** A command that runs the one behind it inside. */
  readonly under: readonly string[];
  setLimit(bytes: number): void;
  usageBytes(): number;
  /** Waits for its processes to be gone. */
  remove(): Promise<void>;
}

/** Needs root. Throws with one line that says so. */
export function makeMemoryCgroup(limitBytes: number): MemoryCgroup {
  const mounts = memoryMounts(readFileSync('/proc/self/mountinfo', 'utf8'));
  const mount = mounts.find(({ version }) => version === 1) ?? mounts.find(({ version }) => version === 2);
  if (mount === undefined)
    throw new Error('no memory cgroup is mounted here: this needs a Linux host with one');
  const folder = join(mount.mountPoint, `esper-test.${process.pid}.${randomBytes(4).toString('hex')}`);
  const isV1 = mount.version === 1;
  const write = (file: string, text: string | number): void =>
    writeFileSync(join(folder, file), String(text));
  const setLimit = (bytes: number): void => write(isV1 ? 'memory.limit_in_bytes' : 'memory.max', bytes);
  try {
    if (!isV1) writeFileSync(join(mount.mountPoint, 'cgroup.subtree_control'), '+memory');
    mkdirSync(folder);
    setLimit(limitBytes);
    // What is swapped out is not killed, and a test would wait for the disk.
    write(isV1 ? 'memory.swappiness' : 'memory.swap.max', 0);
  } catch (error) {
    throw new Error(`this needs root, to make a memory cgroup in ${mount.mountPoint}: ${String(error)}`);
  }
  return {
    version: mount.version,
    folder,
    under: ['sh', '-c', `echo $$ > ${join(folder, 'cgroup.procs')} && exec "$@"`, 'sh'],
    setLimit,
    usageBytes: () =>
      Number(readFileSync(join(folder, isV1 ? 'memory.usage_in_bytes' : 'memory.current'), 'utf8')),
    remove: async () => {
      // A process that was killed is in it until the kernel has taken it apart.
      await until('the cgroup to be empty', () => {
        try {
          rmdirSync(folder);
          return true;
        } catch (error) {
          return (error as NodeJS.ErrnoException).code === 'ENOENT';
        }
      });
    },
  };
}
