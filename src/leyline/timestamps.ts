/** google.protobuf.Timestamp, and Unix milliseconds as the rest of the package counts wall time. */
import { requireRange } from '../core/options.ts';
import { Timestamp } from './messages.ts';
import type { Uint64Field } from './uint64.ts';

/** A Timestamp message, or what a message field of that type holds. */
export interface TimestampLike {
  readonly seconds?: Uint64Field | null;
  readonly nanos?: number | null;
}

/** 0001-01-01 to 9999-12-31, the range that Timestamp allows, Unix milliseconds. */
const MIN_WALL_MS = -62_135_596_800_000;
const MAX_WALL_MS = 253_402_300_799_999;

/** Unix milliseconds, a fraction allowed, years 1 to 9999; else `OptionError`. */
export function timestampFromWallMs(wallMs: number): Timestamp {
  requireRange('timestampFromWallMs', 'wallMs', wallMs, MIN_WALL_MS, MAX_WALL_MS);
  const wholeMs = Math.floor(wallMs);
  const seconds = Math.floor(wholeMs / 1000);
  const nanos = (wholeMs - seconds * 1000) * 1e6 + Math.floor((wallMs - wholeMs) * 1e6);
  return Timestamp.create({ seconds, nanos });
}

/** Unix milliseconds; undefined for a timestamp that is not set. Nanoseconds below a double's precision are lost. */
export function wallMsFromTimestamp(timestamp: TimestampLike | null | undefined): number | undefined {
  if (timestamp === null || timestamp === undefined) return undefined;
  return secondsOf(timestamp.seconds) * 1000 + (timestamp.nanos ?? 0) / 1e6;
}

function secondsOf(field: TimestampLike['seconds']): number {
  if (field === null || field === undefined) return 0;
  return typeof field === 'number' ? field : (field.high | 0) * 2 ** 32 + (field.low >>> 0);
}
