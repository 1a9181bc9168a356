import type { DegradationSnapshot } from '../faults/degradation-types.ts';
import type { MemoryStatus } from '../faults/memory/types.ts';
import type { AdapterStats } from './adapter.ts';
import type { BusStats } from './bus.ts';
import type { EmitterStats } from './emitter.ts';

export type EngineState = 'idle' | 'starting' | 'running' | 'stopping' | 'stopped';

export interface StopReport {
  /** Why it was stopped, as stop() was told. */
  readonly reason: string;
  /** Everything was delivered and everything stopped in time. */
  readonly clean: boolean;
  /** What did not stop in time, or failed to. */
  readonly unfinished: readonly string[];
  /** Events that were dropped because the deadline came. */
  readonly dropped: number;
}

export interface EngineHealth {
  readonly state: EngineState;
  /** Running, with every part up. */
  readonly ready: boolean;
  /** Parts that are not up, and why. */
  readonly troubles: readonly { readonly part: string; readonly state: string; readonly error: string }[];
  readonly degradation: DegradationSnapshot | undefined;
  readonly memory: MemoryStatus | undefined;
}

export interface EngineStats {
  readonly internal: BusStats;
  readonly external: BusStats;
  readonly adapters: readonly AdapterStats[];
  readonly emitters: readonly EmitterStats[];
}
