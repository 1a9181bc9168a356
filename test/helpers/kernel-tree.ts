import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A folder that looks like the root of a Linux host, as far as memory is concerned. */
export interface KernelTree {
  readonly root: string;
  write(path: string, text: string): void;
  remove(path: string): void;
  cleanUp(): void;
}

/** No limit as version 1 writes it: INT64_MAX cut to a page of 4 KiB. */
export const NO_LIMIT_V1 = '9223372036854771712\n';
export const PHYSICAL_BYTES = 16 * 2 ** 30;

export function makeKernelTree(files: Readonly<Record<string, string>> = {}): KernelTree {
  const root = mkdtempSync(join(tmpdir(), 'esper-kernel-'));
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const kib = PHYSICAL_BYTES / 1024;
  write('/proc/meminfo', `MemTotal:       ${kib} kB\nMemFree: 1 kB\nMemAvailable:   ${kib / 2} kB\n`);
  write('/proc/self/status', 'Name:\tnode\nVmRSS:\t  102400 kB\nThreads:\t11\n');
  write('/proc/self/cgroup', '');
  write('/proc/self/mountinfo', '');
  for (const [path, text] of Object.entries(files)) write(path, text);
  return {
    root,
    write,
    remove: (path) => rmSync(join(root, path), { recursive: true, force: true }),
    cleanUp: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** A version 2 host: the process in /app/worker, limits where they are given. */
export function v2Files(limits: Readonly<Record<string, string>>, currentBytes = 0): Record<string, string> {
  const files: Record<string, string> = {
    '/proc/self/cgroup': '0::/app/worker\n',
    '/proc/self/mountinfo':
      '30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n',
    '/sys/fs/cgroup/memory.stat': 'anon 0\ninactive_file 0\n',
  };
  for (const folder of ['/app', '/app/worker']) {
    files[`/sys/fs/cgroup${folder}/memory.max`] = limits[folder] ?? 'max\n';
    files[`/sys/fs/cgroup${folder}/memory.current`] = `${currentBytes}\n`;
    files[`/sys/fs/cgroup${folder}/memory.stat`] = 'anon 0\ninactive_file 0\nactive_file 0\n';
  }
  return files;
}

/** A version 1 host: the process in /docker/abc. */
export function v1Files(limit: string, hierarchical = NO_LIMIT_V1, usageBytes = 0): Record<string, string> {
  const at = '/sys/fs/cgroup/memory';
  const stat = `cache 0\nhierarchical_memory_limit ${hierarchical.trim()}\ntotal_inactive_file 0\n`;
  return {
    '/proc/self/cgroup': '9:name=systemd:/\n4:cpu,memory:/docker/abc\n1:cpu:/\n0::/\n',
    '/proc/self/mountinfo': [
      '31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755',
      '35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,cpu,memory',
      '41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw',
      '',
    ].join('\n'),
    '/sys/fs/cgroup/unified/cgroup.procs': '',
    [`${at}/memory.limit_in_bytes`]: NO_LIMIT_V1,
    [`${at}/docker/memory.limit_in_bytes`]: NO_LIMIT_V1,
    [`${at}/docker/abc/memory.limit_in_bytes`]: limit,
    [`${at}/docker/abc/memory.usage_in_bytes`]: `${usageBytes}\n`,
    [`${at}/docker/abc/memory.stat`]: stat,
  };
}
