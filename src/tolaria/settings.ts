import { hostname } from 'node:os';
import { FastpathError } from '../core/errors.ts';
import { requireName } from '../native/names.ts';
import { cutUtf8, TEXT_BOUNDS } from '../native/strings.ts';
import { type TolariaSettingProblem, TolariaSettingsError } from './errors.ts';

/** Tolaria's part of the environment; the variable of each field is named beside it. Frozen. */
export interface TolariaSettings {
  /** ESPER_RUN_ID, default 'default'. */
  readonly runId: string;
  /** ESPER_HOST_ID, default the host's name. */
  readonly hostId: string;
  /** TOLARIA_EMERGENCY_ENABLED, default true. False: run the trainer without controller and guard. */
  readonly emergencyEnabled: boolean;
  /** TOLARIA_EMERGENCY_FAST_PATH_ENABLED, default true. False: emergencies go out with telemetry. */
  readonly fastPathEnabled: boolean;
  /** TOLARIA_EMERGENCY_BYPASS_MAX_PER_MIN, 0-1000000, default 60. */
  readonly bypassMaxPerMin: number;
  /** TOLARIA_EMERGENCY_SIGNAL_NAME, default `emergency-<run id>`. */
  readonly emergencySignalName: string;
  /** TOLARIA_EMERGENCY_L4_ON_ROLLBACK_DEADLINE, default true: a restore past its deadline raises HALT. */
  readonly haltOnRollbackDeadline: boolean;
  /** TOLARIA_EMERGENCY_L4_FAILED_EPOCHS, 1-1000, default 3: rollbacks in a row before HALT. */
  readonly haltAfterFailures: number;
  /** TOLARIA_ROLLBACK_ENABLED, default true. */
  readonly rollbackEnabled: boolean;
  /** TOLARIA_ROLLBACK_FAST_CAP_MB, MiB, 1-1048576, default 32: most that a fast-tier snapshot may hold. */
  readonly rollbackFastCapMb: number;
  /** TOLARIA_ROLLBACK_DEADLINE_MS, milliseconds, 1-3600000, default 250. */
  readonly rollbackDeadlineMs: number;
  /** TOLARIA_ROLLBACK_SNAPSHOT_STEPS, steps, 1-1000000000, default 1. */
  readonly snapshotEverySteps: number;
  /** TOLARIA_ROLLBACK_SIGNAL_NAME, default `rollback-<run id>`. */
  readonly rollbackSignalName: string;
  /** TOLARIA_ variables that this version does not know, sorted: log them, one may be a typing error. */
  readonly unknownVariables: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Longest host id, bytes of UTF-8: it is part of Redis keys. A run id is bounded by what a record holds. */
const MAX_HOST_ID_BYTES = 64;
const TRUTH: ReadonlyMap<string, boolean> = new Map([
  ['1', true],
  ['true', true],
  ['0', false],
  ['false', false],
]);

class Reader {
  readonly problems: TolariaSettingProblem[] = [];
  readonly known = new Set<string>();
  readonly #env: Environment;

  constructor(env: Environment) {
    this.#env = env;
  }

  /** A variable set to nothing counts as not set: that is how compose files pass on what they were not given. */
  #take<T>(variable: string, fallback: T, allowed: string, parse: (text: string) => T | undefined): T {
    this.known.add(variable);
    const text = this.#env[variable];
    if (text === undefined || text === '') return fallback;
    const value = parse(text);
    if (value !== undefined) return value;
    this.problems.push({ variable, value: JSON.stringify(text), allowed });
    return fallback;
  }

  flag(variable: string, fallback: boolean): boolean {
    return this.#take(variable, fallback, '1 or true, 0 or false', (text) => TRUTH.get(text.toLowerCase()));
  }

  /** Decimal digits only: '1e3', ' 10' and '0x10' are typing errors, not numbers. */
  whole(variable: string, fallback: number, min: number, max: number, unit: string): number {
    const allowed = `a whole number of ${unit} from ${min} to ${max}`;
    return this.#take(variable, fallback, allowed, (text) => {
      const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
      return value >= min && value <= max ? value : undefined;
    });
  }

  id(variable: string, fallback: string, maxBytes: number): string {
    const allowed = `1 to ${maxBytes} bytes of text without spaces or control characters`;
    return this.#take(variable, fallback, allowed, (text) =>
      /^[^\s\p{C}]+$/u.test(text) && Buffer.byteLength(text) <= maxBytes ? text : undefined,
    );
  }

  /** The default is checked as well: it holds the run id, which may have characters that a segment may not. */
  segmentName(variable: string, fallback: string): string {
    const allowed = 'a segment name: 1 to 200 characters of A-Z a-z 0-9 . _ - that do not begin with a dot';
    const name = this.#take(variable, fallback, allowed, asSegmentName);
    if (name === fallback && asSegmentName(name) === undefined) {
      this.problems.push({ variable, value: `(not set, ${JSON.stringify(name)})`, allowed });
    }
    return name;
  }
}

function asSegmentName(text: string): string | undefined {
  try {
    return requireName(text);
  } catch (error) {
    if (error instanceof FastpathError) return undefined;
    throw error;
  }
}

/**
 * Reads Tolaria's variables from an environment such as `process.env`. Throws `TolariaSettingsError`, which lists
 * every problem, when one is outside what it allows; nothing is guessed or clamped.
 */
export function tolariaSettingsFromEnv(env: Environment): TolariaSettings {
  const read = new Reader(env);
  const runId = read.id('ESPER_RUN_ID', 'default', TEXT_BOUNDS.runId);
  const settings = {
    runId,
    hostId: read.id('ESPER_HOST_ID', cutUtf8(hostname(), MAX_HOST_ID_BYTES), MAX_HOST_ID_BYTES),
    emergencyEnabled: read.flag('TOLARIA_EMERGENCY_ENABLED', true),
    fastPathEnabled: read.flag('TOLARIA_EMERGENCY_FAST_PATH_ENABLED', true),
    bypassMaxPerMin: read.whole('TOLARIA_EMERGENCY_BYPASS_MAX_PER_MIN', 60, 0, 1_000_000, 'messages'),
    emergencySignalName: read.segmentName('TOLARIA_EMERGENCY_SIGNAL_NAME', `emergency-${runId}`),
    haltOnRollbackDeadline: read.flag('TOLARIA_EMERGENCY_L4_ON_ROLLBACK_DEADLINE', true),
    haltAfterFailures: read.whole('TOLARIA_EMERGENCY_L4_FAILED_EPOCHS', 3, 1, 1000, 'failures'),
    rollbackEnabled: read.flag('TOLARIA_ROLLBACK_ENABLED', true),
    rollbackFastCapMb: read.whole('TOLARIA_ROLLBACK_FAST_CAP_MB', 32, 1, 1_048_576, 'MiB'),
    rollbackDeadlineMs: read.whole('TOLARIA_ROLLBACK_DEADLINE_MS', 250, 1, 3_600_000, 'milliseconds'),
    snapshotEverySteps: read.whole('TOLARIA_ROLLBACK_SNAPSHOT_STEPS', 1, 1, 1_000_000_000, 'steps'),
    rollbackSignalName: read.segmentName('TOLARIA_ROLLBACK_SIGNAL_NAME', `rollback-${runId}`),
  };
  if (read.problems.length > 0) throw new TolariaSettingsError(read.problems);
  const unknownVariables = Object.keys(env).filter(
    (name) => name.startsWith('TOLARIA_') && !read.known.has(name),
  );
  return Object.freeze({ ...settings, unknownVariables: Object.freeze(unknownVariables.sort()) });
}
