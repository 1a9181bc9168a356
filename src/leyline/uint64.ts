/**
 * uint64 fields of the generated messages, as bigint. protobufjs hands them out as a Long object (a number where the
 * `long` package was bundled away), and its writer takes a bigint for zero without a word: go through these two.
 */
import protobuf from 'protobufjs/minimal.js';
import { OptionError } from '../core/errors.ts';

/** What a uint64 field of a generated message holds: {low, high} 32-bit halves, or a number. */
export type Uint64Field = number | protobuf.Long;

const MAX = 0xffff_ffff_ffff_ffffn;
const LOW_32 = 0xffff_ffffn;

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/** For a uint64 field of a message; 0 to 2^64 - 1, else `OptionError`. */
export function toUint64(value: bigint): Uint64Field {
  if (typeof value !== 'bigint' || value < 0n || value > MAX) {
    throw new OptionError(`toUint64: value must be a bigint from 0 to ${MAX}, got ${String(value)}`);
  }
  if (value <= MAX_SAFE) return Number(value);
  const { LongBits } = protobuf.util;
  return new LongBits(Number(value & LOW_32), Number(value >> 32n)).toLong(true);
}

/** Of a uint64 field of a message; a missing field is 0n. `OptionError` on a number that is not a safe integer from 0. */
export function fromUint64(field: Uint64Field | null | undefined): bigint {
  if (field === null || field === undefined) return 0n;
  if (typeof field === 'number') {
    if (!Number.isSafeInteger(field) || field < 0) {
      throw new OptionError(`fromUint64: ${field} is not an integer from 0 to ${Number.MAX_SAFE_INTEGER}`);
    }
    return BigInt(field);
  }
  return (BigInt(field.high >>> 0) << 32n) | BigInt(field.low >>> 0);
}
