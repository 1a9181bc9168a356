import { OptionError } from '../core/errors.ts';
import { resolveOptions } from '../core/options.ts';

/** Names of the streams; peers share the defaults. */
export interface StreamNames {
  readonly normal: string;
  readonly emergency: string;
  readonly telemetry: string;
  readonly policy: string;
  readonly kernelRequests: string;
  readonly kernelReady: string;
  readonly kernelErrors: string;
  readonly deadLetter: string;
}

export const DEFAULT_STREAMS: StreamNames = Object.freeze({
  normal: 'oona.normal',
  emergency: 'oona.emergency',
  telemetry: 'oona.telemetry',
  policy: 'oona.policy',
  kernelRequests: 'oona.kernels.requests',
  kernelReady: 'oona.kernels.ready',
  kernelErrors: 'oona.kernels.errors',
  deadLetter: 'oona.deadletter',
});

/** Groups of the emergency stream that belong to a host; other groups are none of our business. */
export const HOST_GROUP_PREFIX = 'host:';

/** Throws OptionError on an unknown, malformed or repeated name. */
export function resolveStreams(given: Partial<StreamNames> | undefined): StreamNames {
  const names = resolveOptions('streams', DEFAULT_STREAMS, given);
  const owners = new Map<string, string>();
  for (const [key, name] of Object.entries(names)) {
    // Braces would choose the hash slot on a Cluster; an unbalanced one chooses another slot than the dedup key's.
    if (typeof name !== 'string' || !/^[\w.:/-]*(\{[\w.:/-]+\})?[\w.:/-]*$/.test(name) || name === '') {
      throw new OptionError(
        `streams: ${key} must consist of letters, digits and . : / - _, got "${String(name)}"`,
      );
    }
    const other = owners.get(name);
    if (other !== undefined) throw new OptionError(`streams: ${key} and ${other} are both "${name}"`);
    owners.set(name, key);
  }
  return names;
}

/**
 * Every host has its own group on the emergency stream, and so has every reader of a host that acts for itself (one
 * supervisor a training run): one group for all would hand each signal to one of them.
 */
export function hostGroup(hostId: string, readerId = ''): string {
  // The colon always: a host id may have one, and two hosts with one group would share the emergencies.
  return `${HOST_GROUP_PREFIX}${hostId}:${readerId}`;
}
