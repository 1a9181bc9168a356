/** Where the memory cgroup of this process is to be found, of either version: pure functions of two files' text. */

export type CgroupVersion = 1 | 2;

export interface CgroupMount {
  readonly version: CgroupVersion;
  /** What of the hierarchy is mounted there: '/' is all of it, or of what the cgroup namespace shows. */
  readonly root: string;
  readonly mountPoint: string;
}

/** A cgroup's folder, and where its hierarchy ends as far as it can be seen from here. */
export interface CgroupPlace {
  readonly version: CgroupVersion;
  readonly folder: string;
  readonly mountPoint: string;
}

/** Mounts of hierarchies that may account for memory, from /proc/self/mountinfo. */
export function memoryMounts(mountinfo: string): CgroupMount[] {
  const mounts: CgroupMount[] = [];
  for (const line of mountinfo.split('\n')) {
    const [left = '', right = ''] = line.split(' - ');
    const [, , , root, mountPoint] = left.split(' ');
    const [type, , options = ''] = right.split(' ');
    const version =
      type === 'cgroup2' ? 2 : type === 'cgroup' && options.split(',').includes('memory') ? 1 : undefined;
    if (version === undefined || root === undefined || mountPoint === undefined) continue;
    mounts.push({ version, root: unescaped(root), mountPoint: unescaped(mountPoint) });
  }
  return mounts;
}

/** mountinfo writes space, tab, line feed and backslash as \\040, \\011, \\012 and \\134. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** The paths that /proc/self/cgroup gives this process: in the version 1 hierarchy of memory, and in version 2. */
export function memoryPaths(cgroup: string): Partial<Record<CgroupVersion, string>> {
  const paths: Partial<Record<CgroupVersion, string>> = {};
  for (const line of cgroup.split('\n')) {
    const [, id, controllers, path] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? [];
    if (path === undefined || controllers === undefined) continue;
    if (controllers.split(',').includes('memory')) paths[1] = path;
    else if (id === '0' && controllers === '') paths[2] = path;
  }
  return paths;
}

/**
 * Folders in which that cgroup may be, the most likely first. A bind mount shows a part of the hierarchy: what is above
 * its root is not to be seen, and the path begins below it. A process outside its cgroup namespace's root, or one whose
 * path is not visible, is accounted for at the mount point at least.
 */
export function candidates(mount: CgroupMount, path: string): string[] {
  const { root, mountPoint } = mount;
  const base = mountPoint === '/' ? '' : mountPoint;
  const folders: string[] = [];
  if (!path.split('/').includes('..')) {
    if (root === '/') folders.push(`${base}${path === '/' ? '' : path}`);
    else if (path === root || path.startsWith(`${root}/`)) folders.push(`${base}${path.slice(root.length)}`);
  }
  if (!folders.includes(base)) folders.push(base);
  return folders.map((folder) => (folder === '' ? '/' : folder));
}

/** That folder and those above it, up to the mount point. */
export function hierarchy({ folder, mountPoint }: CgroupPlace): string[] {
  const folders: string[] = [];
  for (let at = folder; ; at = at.slice(0, at.lastIndexOf('/'))) {
    folders.push(at);
    if (at === mountPoint || at.length <= mountPoint.length || !at.includes('/', 1)) return folders;
  }
}
