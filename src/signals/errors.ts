import { FastpathError, OptionError } from '../core/errors.ts';

/** A method of a signal or histogram was called after its close(). */
export class SignalClosedError extends FastpathError {
  constructor(what: string) {
    super('ESPER_SIGNAL_CLOSED', `${what} is closed`);
  }
}

/** All participant slots of a segment are taken by live processes. */
export class ParticipantsFullError extends FastpathError {
  constructor(name: string) {
    super('ESPER_SIGNAL_PARTICIPANTS_FULL', `signal ${name}: all 128 participant slots are taken`, {
      retryable: true,
    });
  }
}

/** A signal object has one participant slot, and it is held in another role. */
export class AlreadyJoinedError extends FastpathError {
  constructor(name: string, member: string) {
    super('ESPER_SIGNAL_ALREADY_JOINED', `signal ${name}: joined as ${member} already; open it once more`);
  }
}

/** A rollback was requested while an earlier request of the same signal object still runs. */
export class RollbackPendingError extends FastpathError {
  constructor(name: string, requestId: string) {
    super('ESPER_ROLLBACK_PENDING', `signal ${name}: rollback ${requestId} is not settled yet`, {
      retryable: true,
    });
  }
}

/** Snapshots that cannot be subtracted or added: not of one segment, in the wrong order, or one segment twice. */
export class HistogramMismatchError extends FastpathError {
  constructor(why: string) {
    super('ESPER_HISTOGRAM_MISMATCH', `histogram snapshots do not go together: ${why}`);
  }
}

/** What should be a histogram snapshot as JSON is none. */
export class HistogramFormatError extends FastpathError {
  constructor(why: string) {
    super('ESPER_HISTOGRAM_FORMAT', `not a histogram snapshot: ${why}`);
  }
}

const MAX_UINT32 = 2 ** 32 - 1;

/** Throws OptionError unless `value` is an integer in [min, max]; returns it. */
export function requireInteger(owner: string, name: string, value: number, min: number, max: number): number {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new OptionError(`${owner}: ${name} must be an integer from ${min} to ${max}, got ${String(value)}`);
  }
  return value;
}

/** Throws OptionError unless `value` is true or false. */
export function requireBoolean(owner: string, name: string, value: unknown): void {
  if (typeof value === 'boolean') return;
  throw new OptionError(`${owner}: ${name} must be true or false, got ${String(value)}`);
}

/** A training step: a safe integer from 0. */
export function requireStep(owner: string, value: number | undefined): number {
  return requireInteger(owner, 'step', value ?? 0, 0, Number.MAX_SAFE_INTEGER);
}

/** A generation or phase as the segment stores it. */
export function requireUint32(owner: string, name: string, value: number): number {
  return requireInteger(owner, name, value, 0, MAX_UINT32);
}

/** Text of a record. Its content is never refused: an emergency must not be lost over a character in its reason. */
export function requireText(owner: string, name: string, value: string | undefined): string {
  if (value === undefined) return '';
  if (typeof value !== 'string')
    throw new OptionError(`${owner}: ${name} must be a string, got ${typeof value}`);
  return value;
}
