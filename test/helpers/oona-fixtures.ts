import { randomUUID } from 'node:crypto';
import { systemClock } from '../../src/core/clock.ts';
import {
  BusEnvelope,
  BusMessageType,
  buildEmergencySignal,
  createKeyRing,
  type EmergencyInput,
  EmergencyLevel,
  EmergencySignal,
  type KeyRing,
  type SignedEntry,
  sealEnvelope,
} from '../../src/leyline/index.ts';
import type { BusTransport } from '../../src/oona/transport/transport.ts';

export const keyRing: KeyRing = createKeyRing({ current: { secret: 'a secret that tests share' } });
export const otherKeyRing: KeyRing = createKeyRing({ current: { secret: 'a secret of somebody else' } });

const EMERGENCY = BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL;

export function emergency(more: Partial<EmergencyInput> = {}): EmergencySignal {
  return buildEmergencySignal({
    level: EmergencyLevel.EMERGENCY_LEVEL_HALT,
    reason: 'loss exploded',
    origin: 'test',
    runId: 'run',
    step: 7,
    signalId: randomUUID(),
    bootId: 'boot',
    monotonicNs: systemClock.monotonicNs(),
    wallMs: systemClock.wallMs(),
    ...more,
  });
}

/** An entry as a peer would sign it, with whatever attributes. */
export function sealed(
  message: EmergencySignal,
  attributes: Record<string, string> = {},
  ring: KeyRing | undefined = keyRing,
): SignedEntry {
  return sealEnvelope(
    { messageType: EMERGENCY, payload: EmergencySignal.encode(message).finish(), attributes },
    ring,
  );
}

/** Any bytes, properly signed. */
export function signed(payload: Uint8Array): SignedEntry {
  return { payload, signature: keyRing.sign(payload) };
}

export async function appendRaw(
  transport: BusTransport,
  stream: string,
  entry: SignedEntry,
): Promise<string> {
  const request = { stream, ...entry, dedupId: randomUUID(), dedupWindowMs: 0, ttlMs: 0 };
  return (await transport.append(request, { deadlineMs: 30_000 })).entryId;
}

export interface BadRow {
  /** BAD-… slug, or what it is. */
  readonly name: string;
  readonly entry: SignedEntry;
  /** Code under which the reader must drop it. */
  readonly code: string;
}

function envelope(
  messageType: number,
  payload: Uint8Array,
  attributes: Record<string, string> = {},
): Uint8Array {
  return BusEnvelope.encode({ messageType: messageType as BusMessageType, payload, attributes }).finish();
}

/** Everything a reader must survive, each with the code it is dropped under. */
export function badRows(): BadRow[] {
  const good = sealed(emergency());
  const levelOf = (level: number): Uint8Array =>
    envelope(
      EMERGENCY,
      EmergencySignal.encode({ level: level as EmergencyLevel, signalId: randomUUID() }).finish(),
    );
  const dated = (offsetMs: number): SignedEntry =>
    sealed(emergency(), { issued_at_ms: String(Date.now() + offsetMs) });
  const row = (name: string, code: string, entry: SignedEntry): BadRow => ({ name, code, entry });
  return [
    row('BAD-envelope-empty', 'ESPER_LEYLINE_EMPTY', signed(new Uint8Array(0))),
    row(
      'BAD-envelope-truncated',
      'ESPER_LEYLINE_TRUNCATED',
      signed(good.payload.subarray(0, good.payload.length - 3)),
    ),
    row('BAD-envelope-unsigned', 'ESPER_LEYLINE_SIGNATURE_MISSING', { ...good, signature: '' }),
    row('BAD-envelope-other-key', 'ESPER_LEYLINE_SIGNATURE_MISMATCH', sealed(emergency(), {}, otherKeyRing)),
    row('BAD-signature-non-ascii', 'ESPER_LEYLINE_SIGNATURE_MALFORMED', {
      ...good,
      signature: 'é'.repeat(44),
    }),
    row(
      'BAD-unknown-message-type',
      'ESPER_LEYLINE_UNKNOWN_TYPE',
      signed(envelope(99, new Uint8Array([8, 1]))),
    ),
    row('BAD-unknown-enum-value', 'ESPER_LEYLINE_UNKNOWN_ENUM', signed(levelOf(9))),
    row('level 0', 'ESPER_LEYLINE_UNKNOWN_ENUM', signed(levelOf(0))),
    row(
      'an envelope without a message',
      'ESPER_LEYLINE_EMPTY',
      signed(envelope(EMERGENCY, new Uint8Array(0))),
    ),
    row('noise', 'ESPER_LEYLINE_TRUNCATED', signed(new Uint8Array(64).fill(255))),
    row(
      'replayed from another stream',
      'ESPER_OONA_WRONG_STREAM',
      sealed(emergency(), { stream: 'oona.normal' }),
    ),
    row('too old', 'ESPER_OONA_TOO_OLD', dated(-901_000)),
    row('from the future', 'ESPER_OONA_FROM_FUTURE', dated(40_000)),
  ];
}
