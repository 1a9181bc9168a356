import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../../core/errors.ts';

export type Reading =
  | { readonly text: string }
  /** `code` of the system: ENOENT, EACCES, ENODEV. */
  | { readonly failed: string };

/** The files of the kernel, below `root`. Synchronous: none of them is on a disk, and each is read in microseconds. */
export class KernelFiles {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  path(path: string): string {
    return this.root === '/' ? path : join(this.root, path);
  }

  /** Never throws. */
  read(path: string): Reading {
    try {
      return { text: readFileSync(this.path(path), 'latin1') };
    } catch (error) {
      return { failed: errorCode(error) ?? 'EUNKNOWN' };
    }
  }

  /** Never throws: one that may not be looked into is not there for us. */
  isDirectory(path: string): boolean {
    try {
      return statSync(this.path(path), { throwIfNoEntry: false })?.isDirectory() ?? false;
    } catch {
      return false;
    }
  }
}

/** The number in the line `<key> <number>`; of the first line where the key is ''. Undefined when there is none. */
export function numberAfter(text: string, key: string): number | undefined {
  const lines = text.split('\n');
  const line =
    key === '' ? lines[0] : lines.find((one) => /^\s/.test(one.slice(key.length)) && one.startsWith(key));
  const digits = /^\s*(\d+)(?:\s|$)/.exec((line ?? '').slice(key.length))?.[1];
  return digits === undefined ? undefined : Number(digits);
}
