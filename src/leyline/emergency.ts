/** EmergencySignal messages from plain fields, and back with everything checked that a host would act on. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { OptionError } from '../core/errors.ts';
import { refuseUnknownKeys } from '../core/options.ts';
import { type Attributes, checkedAttributes } from './envelope.ts';
import { LeylineError } from './errors.ts';
import { EmergencyLevel, EmergencySignal } from './messages.ts';
import { timestampFromWallMs, wallMsFromTimestamp } from './timestamps.ts';
import { fromUint64, toUint64 } from './uint64.ts';

export interface EmergencyInput {
  /** NOTICE to HALT. */
  readonly level: EmergencyLevel;
  /** Why, for people. */
  readonly reason: string;
  /** Which component raised it. */
  readonly origin: string;
  readonly runId: string;
  /** Training step, a safe integer from 0. */
  readonly step: number;
  /** The id in shared memory; not empty. */
  readonly signalId: string;
  /** Boot of the host that raised it. */
  readonly bootId: string;
  /** CLOCK_MONOTONIC when it was raised, nanoseconds. */
  readonly monotonicNs: bigint;
  /** Unix milliseconds when it was raised. */
  readonly wallMs: number;
  /** Default none. */
  readonly attributes?: Attributes;
  /** Adds `payload_checksum`. Default false: a signed entry needs none. */
  readonly checksum?: boolean;
}

/** An emergency as it was received. A peer need not set more than the level: '', 0 and 0n mean not set. */
export interface EmergencyFields {
  /** NOTICE to HALT. */
  readonly level: EmergencyLevel;
  readonly reason: string;
  readonly origin: string;
  readonly runId: string;
  /** A safe integer; larger ones are cut to the largest. */
  readonly step: number;
  readonly signalId: string;
  /** Monotonic times compare only with those of the same boot. */
  readonly bootId: string;
  /** CLOCK_MONOTONIC of the sender, nanoseconds; from the milliseconds field when a peer sets only that. */
  readonly monotonicNs: bigint;
  /** Unix milliseconds of the sender; undefined when not set. */
  readonly wallMs: number | undefined;
  readonly attributes: Attributes;
}

const VERSION = 1;
const NS_PER_MS = 1_000_000n;
const INPUT_KEYS: readonly (keyof EmergencyInput)[] = [
  'level',
  'reason',
  'origin',
  'runId',
  'step',
  'signalId',
  'bootId',
  'monotonicNs',
  'wallMs',
  'attributes',
  'checksum',
];

/** Throws `OptionError` on a field out of range, `LeylineError` ESPER_LEYLINE_INVALID on a bad attribute. */
export function buildEmergencySignal(input: EmergencyInput): EmergencySignal {
  refuseUnknownKeys('buildEmergencySignal', input, INPUT_KEYS);
  if (!isRaisedLevel(input.level)) {
    throw new OptionError(
      `buildEmergencySignal: level must be an integer from 1 to 4, got ${String(input.level)}`,
    );
  }
  if (!Number.isSafeInteger(input.step) || input.step < 0) {
    throw new OptionError(
      `buildEmergencySignal: step must be a safe integer from 0, got ${String(input.step)}`,
    );
  }
  for (const name of ['reason', 'origin', 'runId', 'signalId', 'bootId'] as const) {
    if (typeof input[name] !== 'string')
      throw new OptionError(`buildEmergencySignal: ${name} must be a string`);
  }
  if (input.signalId === '') throw new OptionError('buildEmergencySignal: signalId must not be empty');
  return makeEmergencySignal({
    ...input,
    attributes: checkedAttributes('buildEmergencySignal', input.attributes ?? {}),
  });
}

/** `buildEmergencySignal` without its checks, for fields that were checked where they came from. */
export function makeEmergencySignal(input: EmergencyInput): EmergencySignal {
  // Field by field: create() goes over the names of an object, which a cold process notices.
  const message = new EmergencySignal();
  message.version = VERSION;
  message.level = input.level;
  message.reason = input.reason;
  message.origin = input.origin;
  message.triggeredAt = timestampFromWallMs(input.wallMs);
  message.monotonicTimeNs = toUint64(input.monotonicNs);
  message.monotonicTimeMs = toUint64(input.monotonicNs / NS_PER_MS);
  message.runId = input.runId;
  if (input.attributes !== undefined) message.attributes = input.attributes;
  message.signalId = input.signalId;
  message.bootId = input.bootId;
  message.step = input.step;
  if (input.checksum === true) message.payloadChecksum = emergencyChecksum(message.attributes);
  return message;
}

/**
 * What a host may act on. Throws `LeylineError`: ESPER_LEYLINE_UNKNOWN_ENUM when the level is not set or has no name
 * here (it must not be obeyed; the message itself keeps it), ESPER_LEYLINE_CHECKSUM_MISMATCH.
 */
export function readEmergencySignal(message: EmergencySignal): EmergencyFields {
  const { level } = message;
  if (!isRaisedLevel(level)) {
    throw new LeylineError(
      'ESPER_LEYLINE_UNKNOWN_ENUM',
      `emergency level ${String(level)} is not one of 1 to 4`,
    );
  }
  const attributes = Object.freeze({ ...message.attributes });
  verifyChecksum(message.payloadChecksum, attributes);
  const monotonicNs = fromUint64(message.monotonicTimeNs);
  const step = fromUint64(message.step);
  return Object.freeze({
    level,
    reason: message.reason,
    origin: message.origin,
    runId: message.runId,
    step: step > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(step),
    signalId: message.signalId,
    bootId: message.bootId,
    monotonicNs: monotonicNs === 0n ? fromUint64(message.monotonicTimeMs) * NS_PER_MS : monotonicNs,
    wallMs: wallMsFromTimestamp(message.triggeredAt),
    attributes,
  });
}

/** SHA-256 over the attributes as `key=value` lines, sorted by code point, joined by line feeds, in UTF-8. */
export function emergencyChecksum(attributes: Attributes): Uint8Array {
  return createHash('sha256').update(checksumText(attributes), 'utf8').digest();
}

/**
 * Attributes of the NOTICE that carries a clear to other hosts. `alsoClearedIds`: further emergencies that the clear
 * lowered; a host that has them lowers them only for a clear that names them.
 */
export function clearAttributes(
  clearedSignalId: string,
  alsoClearedIds: readonly string[] = [],
): Record<string, string> {
  const also = alsoClearedIds.length === 0 ? {} : { also_cleared: JSON.stringify(alsoClearedIds) };
  return { action: 'clear', cleared: clearedSignalId, ...also };
}

/** What a clear lowered besides `clearedSignalId`; empty when it names nothing more, or not readably. */
export function alsoCleared(fields: Pick<EmergencyFields, 'attributes'>): readonly string[] {
  const { also_cleared: text } = fields.attributes;
  if (text === undefined) return [];
  try {
    const ids: unknown = JSON.parse(text);
    return Array.isArray(ids) ? ids.filter((id) => typeof id === 'string' && id !== '') : [];
  } catch {
    return [];
  }
}

/** The signal id that an emergency clears; undefined when it is no clear. */
export function clearedSignalId(fields: Pick<EmergencyFields, 'attributes'>): string | undefined {
  const { action, cleared } = fields.attributes;
  return action === 'clear' && cleared !== undefined && cleared !== '' ? cleared : undefined;
}

function isRaisedLevel(level: number): level is EmergencyLevel {
  // The type first: an enum object answers to names as well.
  return typeof level === 'number' && level !== 0 && EmergencyLevel[level] !== undefined;
}

function checksumText(attributes: Attributes): string {
  const lines = Object.entries(attributes).map(([key, value]) => Buffer.from(`${key}=${value}`, 'utf8'));
  return lines
    .sort(Buffer.compare)
    .map((line) => line.toString('utf8'))
    .join('\n');
}

/** Peers differ in whether the last line ends too; an emergency is not dropped over that. */
function verifyChecksum(given: Uint8Array, attributes: Attributes): void {
  if (given.length === 0) return;
  const text = checksumText(attributes);
  for (const candidate of [text, `${text}\n`]) {
    const expected = createHash('sha256').update(candidate, 'utf8').digest();
    if (expected.length === given.length && timingSafeEqual(expected, given)) return;
  }
  throw new LeylineError(
    'ESPER_LEYLINE_CHECKSUM_MISMATCH',
    'payload_checksum of the emergency does not fit its attributes',
  );
}
