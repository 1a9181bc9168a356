import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Name and pid of one process of a group, from /proc/<pid>/stat: `pid (name) state ppid pgrp …`. */
function readMember(pid: string, group: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined; // it ended meanwhile
  }
  const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
  const [state, , pgrp] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie has ended; where process 1 reaps nobody, it would stay for ever.
  return Number(pgrp) === group && state !== 'Z' ? `${name} ${pid}` : undefined;
}

/** Processes of the group that a detached child leads which still run, as `name pid`. Where /proc is not Linux's: none. */
export function liveMembers(child: ChildProcess): string[] {
  const group = child.pid;
  if (process.platform !== 'linux' || group === undefined) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => readMember(pid, group))
    .filter((member) => member !== undefined);
}

/** Kills a detached child and all that it started. */
export function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The group is empty: all have ended.
  }
}
