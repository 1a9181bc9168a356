import { OptionError } from '../../core/errors.ts';
import { flag, integer, number, text, value } from '../../core/option-rows.ts';
import { type GivenOptions, optionTable, type ResolvedOptions } from '../../core/option-table.ts';
import type { LevelRules } from './level.ts';
import { MAX_LIMIT_BYTES, MIN_LIMIT_BYTES } from './size.ts';

const HOUR_MS = 3_600_000;
const OWNER = 'memory monitor';

const isLimit = (given: unknown): boolean =>
  given === undefined ||
  (typeof given === 'number' &&
    Number.isInteger(given) &&
    given >= MIN_LIMIT_BYTES &&
    given <= MAX_LIMIT_BYTES);

const threshold = (what: string, atLimit: string, share: number) =>
  number({
    text: `Share of the limit that is ${what}; above the threshold before it.`,
    atLimit,
    unit: '',
    default: share,
    min: 0.01,
    max: 1,
  });

/** Limit, thresholds and pace of the memory monitor. */
export const MEMORY_OPTIONS = optionTable(
  {
    owner: OWNER,
    title: 'Memory monitor',
    intro:
      'Watches how full the memory limit and the heap of V8 are; [memory-monitor.md](memory-monitor.md) tells what it reads. Without `memoryLimitBytes` the limit is the smallest of the cgroup hierarchy, else `MEMORY_LIMIT` (bytes, 512M, 2G, 1Gi), else the physical memory.',
  },
  {
    memoryLimitBytes: value<number | undefined>({
      text: 'Limit of this process, compared with its resident set.',
      allowed: `a whole number of bytes from ${MIN_LIMIT_BYTES} to ${MAX_LIMIT_BYTES}`,
      defaultText: 'found out',
      default: undefined,
      accepts: isLimit,
    }),
    warningThreshold: threshold('a warning', 'MEMORY_PRESSURE with severity WARNING.', 0.85),
    errorThreshold: threshold('an error', 'MEMORY_PRESSURE with severity ERROR; degradation begins.', 0.9),
    criticalThreshold: threshold(
      'critical',
      'MEMORY_PRESSURE with severity CRITICAL, not recoverable; the native thread sets the emergency flag.',
      0.95,
    ),
    shutdownThreshold: threshold('the end', 'Listeners of the level `shutdown` stop the process.', 0.98),
    margin: number({
      text: 'A level is left only below its threshold less this.',
      atLimit: 'The dwell time begins.',
      unit: '',
      default: 0.03,
      min: 0,
      max: 0.5,
    }),
    dwellMs: integer({
      text: 'How long it must be that low, without a break.',
      atLimit: 'The level is left.',
      unit: 'ms',
      default: 5_000,
      min: 0,
      max: HOUR_MS,
    }),
    repeatMs: integer({
      text: 'How often a level that lasts is reported again.',
      atLimit: 'One more MEMORY_PRESSURE, with `repeat` in its context.',
      unit: 'ms',
      default: 60_000,
      min: 100,
      max: 24 * HOUR_MS,
    }),
    intervalMs: integer({
      text: 'Between two samples far from the limit, and between two looks of the event loop.',
      atLimit: 'A sample is taken.',
      unit: 'ms',
      default: 1_000,
      min: 1,
      max: 600_000,
    }),
    nearIntervalMs: integer({
      text: 'At most this long between two samples near the limit; less, down to 1 ms, when it fills fast.',
      atLimit: 'A sample is taken.',
      unit: 'ms',
      default: 5,
      min: 1,
      max: 1_000,
    }),
    rereadMs: integer({
      text: 'How often the limit is looked for anew: limits change in place.',
      atLimit: 'The files are opened again.',
      unit: 'ms',
      default: 10_000,
      min: 10,
      max: HOUR_MS,
    }),
    emergencyLevel: integer({
      text: 'Level that CRITICAL raises on the emergency signal, where one is given.',
      atLimit: 'The signal never goes lower by it.',
      unit: '',
      default: 3,
      min: 1,
      max: 4,
    }),
    forceGc: flag({
      text: 'From ERROR on, run a full garbage collection, which blocks the event loop. Needs `node --expose-gc`.',
      default: false,
    }),
    gcBackoffMs: integer({
      text: 'At most one forced collection in this time.',
      atLimit: 'The next one may run.',
      unit: 'ms',
      default: 30_000,
      min: 100,
      max: HOUR_MS,
    }),
    gcMinReclaim: number({
      text: 'Share of the used heap that a forced collection must give back. With less, none is forced until the level falls below ERROR.',
      atLimit: 'The next one may run after `gcBackoffMs`.',
      unit: '',
      default: 0.05,
      min: 0,
      max: 1,
    }),
    root: text({
      text: 'Where /proc and the cgroup mounts are looked for: another root in tests, or where the host’s is mounted.',
      default: '/',
      pattern: /^\//,
      allowed: 'an absolute path',
    }),
  },
);

export type MemoryMonitorOptions = GivenOptions<typeof MEMORY_OPTIONS.rows>;
export type ResolvedMemoryOptions = ResolvedOptions<typeof MEMORY_OPTIONS.rows>;

const ORDER = ['warningThreshold', 'errorThreshold', 'criticalThreshold', 'shutdownThreshold'] as const;

/** Throws OptionError that names the option; thresholds must ascend, and `margin` be below the lowest. */
export function resolveMemoryOptions(given: MemoryMonitorOptions | undefined): ResolvedMemoryOptions {
  const options = MEMORY_OPTIONS.resolve(given);
  for (const [at, name] of ORDER.entries()) {
    const before = ORDER[at - 1];
    if (before === undefined || options[name] > options[before]) continue;
    const what = `${name} must be above ${before} (${options[before]}), got ${options[name]}`;
    throw new OptionError(`${OWNER}: ${what}`);
  }
  const { margin, warningThreshold } = options;
  if (margin < warningThreshold) return options;
  const what = `margin must be below warningThreshold (${warningThreshold}), got ${margin}`;
  throw new OptionError(`${OWNER}: ${what}: a level could never be left`);
}

export function levelRules(options: ResolvedMemoryOptions): LevelRules {
  const { warningThreshold, errorThreshold, criticalThreshold, shutdownThreshold, margin, dwellMs } = options;
  const thresholds = [warningThreshold, errorThreshold, criticalThreshold, shutdownThreshold] as const;
  return { thresholds, margin, dwellMs };
}
