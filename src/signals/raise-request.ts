/** What callers of an emergency signal give, checked before it reaches the flag. */
import { OptionError } from '../core/errors.ts';
import type { EmergencyLevel } from '../leyline/messages.ts';
import { TEXT_BOUNDS, utf8SizeBytes, wellFormed } from '../native/strings.ts';
import { requireInteger, requireStep, requireText, requireUint32 } from './errors.ts';
import type { Seen, TriggerFields } from './types.ts';

export const MAX_LEVEL = 4;

export interface Text {
  readonly reason: string;
  readonly origin: string;
  readonly runId: string;
}

export interface RaiseRequest extends Text {
  readonly level: EmergencyLevel;
  readonly step: number;
}

/** Throws OptionError. */
export function checked(owner: string, level: EmergencyLevel, fields: TriggerFields): RaiseRequest {
  requireInteger(owner, 'level', level, 1, MAX_LEVEL);
  const { reason, origin, runId } = textOf(owner, fields);
  return { level, step: requireStep(owner, fields.step), reason, origin, runId };
}

export function textOf(owner: string, fields: Pick<TriggerFields, keyof Text>): Text {
  return {
    reason: wellFormed(requireText(owner, 'reason', fields.reason)),
    origin: wellFormed(requireText(owner, 'origin', fields.origin)),
    runId: wellFormed(requireText(owner, 'runId', fields.runId)),
  };
}

/** An empty id would be replaced by one made here, and the same emergency would travel under two ids. */
export function requireId(owner: string, name: string, id: string): string {
  if (requireText(owner, name, id) === '') throw new OptionError(`${owner}: ${name} is empty`);
  return wellFormed(id);
}

/** An id made on this host; one of another host is cut, for an emergency must not be lost over the size of its id. */
export function requireOwnId(owner: string, id: string): string {
  const text = requireId(owner, 'signalId', id);
  const sizeBytes = utf8SizeBytes(text);
  // Cut, it would be another id: nobody who looks for this one would find it.
  if (sizeBytes > TEXT_BOUNDS.signalId)
    throw new OptionError(`${owner}: signalId has ${sizeBytes} bytes of UTF-8, ${TEXT_BOUNDS.signalId} fit`);
  return text;
}

export function requireSeen(owner: string, seen: Seen): void {
  requireUint32(owner, 'generation', seen.generation);
  requireInteger(owner, 'seen level', seen.level, 0, MAX_LEVEL);
}

export function requireFrom(owner: string, from: unknown): void {
  if (from === undefined || from === 'now' || from === 'oldest') return;
  throw new OptionError(`${owner}: from must be 'now' or 'oldest', got ${String(from)}`);
}
