/** Error events as Leyline messages. */
import { ErrorSeverity, ErrorEvent as WireErrorEvent } from '../leyline/messages.ts';
import { timestampFromWallMs, wallMsFromTimestamp } from '../leyline/timestamps.ts';
import { fromUint64, toUint64 } from '../leyline/uint64.ts';
import { type ErrorEvent, errorCodeEntry, isErrorEventType } from './error-event.ts';

export function toErrorMessage(event: ErrorEvent): WireErrorEvent {
  return WireErrorEvent.create({
    eventId: event.id,
    severity: event.severity,
    code: event.code,
    message: event.message,
    component: event.component,
    occurredAt: timestampFromWallMs(event.occurredAtMs),
    context: { ...event.context },
    stackTrace: event.stackTrace,
    recoverable: event.recoverable,
    type: event.type,
    count: toUint64(BigInt(event.count)),
  });
}

/**
 * What a peer told. A severity or type that is missing or not known here is the usual one of the code; a count of 0 is
 * 1, and one above 2^53 - 1 is that; a missing time is 0.
 */
export function fromErrorMessage(message: WireErrorEvent): ErrorEvent {
  const usual = errorCodeEntry(message.code);
  const isKnown = message.severity > 0 && ErrorSeverity[message.severity] !== undefined;
  const count = fromUint64(message.count);
  return Object.freeze({
    id: message.eventId,
    severity: isKnown ? message.severity : usual.severity,
    code: message.code,
    type: isErrorEventType(message.type) ? message.type : usual.type,
    message: message.message,
    component: message.component,
    occurredAtMs: wallMsFromTimestamp(message.occurredAt) ?? 0,
    context: Object.freeze({ ...message.context }),
    stackTrace: message.stackTrace,
    recoverable: message.recoverable,
    count: count > MAX_SAFE ? Number(MAX_SAFE) : Math.max(1, Number(count)),
  });
}

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);
