/** What is in a dead letter: its original, verified and decoded as a consumer would do it. */
import { errorCode, errorMessage, FastpathError } from '../../core/errors.ts';
import { decodeMessage } from '../../leyline/codec.ts';
import { type OpenedEnvelope, openEnvelope } from '../../leyline/envelope.ts';
import type { KeyRing } from '../../leyline/key-ring.ts';
import { typeName } from './counts.ts';
import type { DeadLetter } from './letter.ts';
import type { EngineFailure, LetterContent, Refusal } from './types.ts';

export interface OpenChecks {
  readonly keyRing: KeyRing | undefined;
  readonly maxPayloadBytes: number;
}

export type OpenedLetter = { readonly opened: OpenedEnvelope } | { readonly refusal: Refusal };

/** Never throws. */
export function openLetter(letter: DeadLetter, { keyRing, maxPayloadBytes }: OpenChecks): OpenedLetter {
  try {
    return { opened: openEnvelope(letter, keyRing, { maxPayloadBytes }) };
  } catch (error) {
    return { refusal: refusalOf(error) };
  }
}

/** Never throws. */
export function contentOf(letter: DeadLetter, checks: OpenChecks): LetterContent {
  const original = {
    letter,
    payloadBase64: Buffer.from(letter.payload).toString('base64'),
    signatureText: letter.signature,
  };
  const result = openLetter(letter, checks);
  if ('refusal' in result) return { ...original, verified: { ok: false, ...result.refusal } };
  const { messageType, attributes, keyId } = result.opened;
  return {
    ...original,
    verified: { ok: true, keyId },
    envelope: { messageType, typeName: typeName(messageType), attributes },
    ...messageOf(result.opened, checks),
  };
}

function messageOf(
  { messageType, payload }: OpenedEnvelope,
  { maxPayloadBytes }: OpenChecks,
): Pick<LetterContent, 'message' | 'messageProblem'> {
  try {
    const message: { toJSON(): object } = decodeMessage(messageType, payload, { maxPayloadBytes });
    return { message: message.toJSON() };
  } catch (error) {
    return { messageProblem: refusalOf(error) };
  }
}

export function refusalOf(error: unknown): Refusal {
  return { code: errorCode(error) ?? 'ESPER_OONA_UNREADABLE', reason: errorMessage(error) };
}

export function failureOf(error: unknown): EngineFailure {
  const retryable = error instanceof FastpathError && error.retryable;
  return { code: errorCode(error) ?? 'ESPER_OONA_REDIS', reason: errorMessage(error), retryable };
}
