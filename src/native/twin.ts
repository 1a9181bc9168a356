import { NATIVE_ABI_MAJOR, NATIVE_ABI_MINOR } from './abi.ts';
import type { NativeFlag, NativeHistogram, NativeModule } from './contract.ts';
import { AttachError } from './errors.ts';
import { requireName } from './names.ts';
import { TwinFlag } from './twin/flag.ts';
import { TwinHistogram, unlinkHistogram } from './twin/histogram.ts';
import { TwinMemorySampler } from './twin/memory-sampler.ts';
import { unlinkSegments } from './twin/segment.ts';

/**
 * The native module in TypeScript, on memory of this thread: what is used where the addon cannot load. Opens of one
 * name share their memory while one of them is open. What it cannot do: another process or thread sees nothing, and a
 * deadline fires no earlier than the event loop, or a look at the flag, lets it; its memory sampler likewise.
 * `openFlag` and `openHistogram` throw AttachError `ESPER_SHM_UNSUPPORTED_PLATFORM` for kind 'shared'.
 */
export function createTwin(): NativeModule {
  return Object.freeze({
    abiMajor: NATIVE_ABI_MAJOR,
    abiMinor: NATIVE_ABI_MINOR,
    openFlag: (options): NativeFlag => {
      refuseShared(options.kind);
      return new TwinFlag(options.segment, requireName(options.name));
    },
    openHistogram: (options): NativeHistogram => {
      refuseShared(options.kind);
      return new TwinHistogram(requireName(options.name), options.readOnly);
    },
    openMemorySampler: (plan) => new TwinMemorySampler(plan),
    unlink: (name) => {
      requireName(name);
      const flags = unlinkSegments(name);
      const histogram = unlinkHistogram(name);
      return flags || histogram ? 'removed' : 'absent';
    },
    isSetCall: (flag) => flag.read().level > 0,
  } satisfies NativeModule);
}

function refuseShared(kind: 'shared' | 'process-local'): void {
  if (kind === 'process-local') return;
  throw new AttachError('ESPER_SHM_UNSUPPORTED_PLATFORM', 'the native addon is not in use: no shared memory');
}
