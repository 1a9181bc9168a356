import { readFileSync } from 'node:fs';

let known: string | undefined;

/** Id of this boot of the host: monotonic times compare only where it is equal. '' where the system tells none. */
export function bootId(): string {
  if (known === undefined) {
    try {
      known = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    } catch {
      known = '';
    }
  }
  return known;
}
