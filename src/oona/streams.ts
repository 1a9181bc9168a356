import { OptionError } from '../core/errors.ts';
import { type OptionRow, text } from '../core/option-rows.ts';
import { optionTable } from '../core/option-table.ts';

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

/** Braces would choose the hash slot on a Cluster; an unbalanced one chooses another slot than the dedup key's. */
const NAME = /^(?=.)[\w.:/-]*(\{[\w.:/-]+\})?[\w.:/-]*$/;

const nameRow = (given: string, about: string): OptionRow<string> =>
  text({
    pattern: NAME,
    allowed: 'letters, digits and . : / - _, with at most one part in braces',
    default: given,
    text: about,
  });

export const STREAM_OPTIONS = optionTable(
  {
    owner: 'streams',
    title: 'Stream names',
    intro:
      'What the streams are called in the engine; no two alike. Peers share the defaults. On a Redis Cluster a part in braces chooses the slot.',
  },
  {
    normal: nameRow('oona.normal', 'System state, commands, field reports, rollback requests.'),
    emergency: nameRow('oona.emergency', 'Emergencies, and what is urgent: HIGH and CRITICAL.'),
    telemetry: nameRow(
      'oona.telemetry',
      'Telemetry packets, those about health among them, and error events.',
    ),
    policy: nameRow('oona.policy', 'Policy updates.'),
    kernelRequests: nameRow('oona.kernels.requests', 'Requests to prefetch kernels.'),
    kernelReady: nameRow('oona.kernels.ready', 'Kernels that are there, and catalogue updates.'),
    kernelErrors: nameRow('oona.kernels.errors', 'Kernels that could not be fetched.'),
    deadLetter: nameRow('oona.deadletter', 'What consumers gave up ([dead-letters.md](dead-letters.md)).'),
  } satisfies Record<keyof StreamNames, OptionRow<string>>,
);

export const DEFAULT_STREAMS: StreamNames = STREAM_OPTIONS.resolve({});

/** Groups of the emergency stream that belong to a host; other groups are none of our business. */
export const HOST_GROUP_PREFIX = 'host:';

/** Throws OptionError on an unknown, malformed or repeated name. */
export function resolveStreams(given: Partial<StreamNames> | undefined): StreamNames {
  const names: StreamNames = STREAM_OPTIONS.resolve(given);
  const owners = new Map<string, string>();
  for (const [key, name] of Object.entries(names)) {
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
