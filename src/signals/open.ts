import { errorCode, errorMessage, OptionError } from '../core/errors.ts';
import { type Logger, silentLogger } from '../core/logger.ts';
import type { Metrics } from '../core/metrics.ts';
import { requireRange, resolveOptions } from '../core/options.ts';
import type { NativeModule } from '../native/contract.ts';
import { loadNative } from '../native/load.ts';
import { requireName } from '../native/names.ts';
import { createTwin } from '../native/twin.ts';
import type { Degraded, OpenSignalOptions } from './types.ts';

type MemoryKind = 'shared' | 'process-local';

/** OpenSignalOptions with every default in place. */
export interface ResolvedSignalOptions {
  readonly kind: MemoryKind;
  readonly attachTimeoutMs: number;
  readonly recheckMs: number;
  readonly allowGroup: boolean;
  readonly keepAlive: boolean;
  readonly followName: boolean;
  readonly logger: Logger;
  readonly metrics: Metrics | undefined;
  readonly onDegraded: ((degraded: Degraded) => void) | undefined;
  readonly native: NativeModule | undefined;
}

const DEFAULTS: ResolvedSignalOptions = Object.freeze({
  kind: 'shared',
  attachTimeoutMs: 1000,
  recheckMs: 10,
  allowGroup: false,
  keepAlive: true,
  followName: true,
  logger: silentLogger,
  metrics: undefined,
  onDegraded: undefined,
  native: undefined,
});

/** What is opened under which name, for messages and metrics. */
export interface OpenSubject {
  /** 'emergency signal', 'rollback signal', 'latency histogram'. */
  readonly what: string;
  readonly name: string;
  /** Gauge that is 1 while the fallback is in use; none for histograms. */
  readonly gauge: string | undefined;
}

export interface Opened<T> {
  readonly value: T;
  readonly module: NativeModule;
  readonly degraded: Degraded | undefined;
}

/** Checks name and options. Throws AttachError `ESPER_SHM_BAD_NAME` or OptionError: both are the caller's mistakes. */
export function resolveSignalOptions(
  owner: string,
  name: string,
  options: OpenSignalOptions | undefined,
): ResolvedSignalOptions {
  requireName(name);
  const resolved = resolveOptions<ResolvedSignalOptions>(owner, DEFAULTS, options);
  if (resolved.kind !== 'shared' && resolved.kind !== 'process-local') {
    throw new OptionError(`${owner}: kind must be 'shared' or 'process-local', got ${String(resolved.kind)}`);
  }
  requireRange(owner, 'attachTimeoutMs', resolved.attachTimeoutMs, 1, 60_000);
  requireRange(owner, 'recheckMs', resolved.recheckMs, 1, 1000);
  return resolved;
}

/**
 * Opens shared memory or, whatever keeps that from working, process-local memory. Never throws for the state of the
 * machine: a trainer must start on a host without /dev/shm, but never without being told.
 */
export function openOrFallBack<T>(
  subject: OpenSubject,
  options: ResolvedSignalOptions,
  open: (module: NativeModule, kind: MemoryKind) => T,
): Opened<T> {
  const { module, error } =
    options.native === undefined ? loadNative() : { module: options.native, error: undefined };
  if (options.kind === 'process-local') return { ...openLocal(module, open), degraded: undefined };
  let degraded: Degraded | undefined;
  if (error === undefined) {
    try {
      const value = open(module, 'shared');
      if (subject.gauge !== undefined) options.metrics?.setGauge(subject.gauge, 0);
      return { value, module, degraded: undefined };
    } catch (cause) {
      degraded = Object.freeze({ code: errorCode(cause) ?? 'ESPER_SHM_SYSTEM', reason: errorMessage(cause) });
    }
  } else {
    degraded = Object.freeze({ code: error.code, reason: error.message });
  }
  const opened = openLocal(module, open);
  report(subject, options, degraded);
  return { ...opened, degraded };
}

/** Private memory can fail as well (no address space, no threads); plain JavaScript objects are the last resort. */
function openLocal<T>(
  module: NativeModule,
  open: (module: NativeModule, kind: MemoryKind) => T,
): { value: T; module: NativeModule } {
  try {
    return { value: open(module, 'process-local'), module };
  } catch {
    const twin = createTwin();
    return { value: open(twin, 'process-local'), module: twin };
  }
}

const MAX_WARNED = 1000;
const warned = new Set<string>();

function report(subject: OpenSubject, options: ResolvedSignalOptions, degraded: Degraded): void {
  const { what, name, gauge } = subject;
  if (gauge !== undefined) options.metrics?.setGauge(gauge, 1);
  options.logger.warn(
    { name, code: degraded.code, reason: degraded.reason },
    `${what} is process-local only`,
  );
  const key = `${what}/${name}`;
  if (!warned.has(key)) {
    // Bounded: a service that opens a signal a run for months must not grow by it.
    if (warned.size >= MAX_WARNED) warned.clear();
    warned.add(key);
    const detail = 'other processes neither see it nor are seen; see docs/errors.md';
    process.emitWarning(`${what} "${name}" is process-local only: ${degraded.reason}`, {
      type: 'EsperDegradedWarning',
      code: degraded.code,
      detail,
    });
  }
  try {
    options.onDegraded?.(degraded);
  } catch (error) {
    options.logger.error({ name, error: errorMessage(error) }, `${what}: onDegraded threw`);
  }
}
