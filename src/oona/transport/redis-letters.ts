/** What the scripts that store dead letters are given, and what they answer. */
import { dedupPrefix } from './redis-keys.ts';
import { parseCodes } from './redis-replies.ts';
import { wireText } from './redis-wire.ts';
import { DEAD_LETTER_DEDUP_MS, type DeadLetterRequest, deadLetterOrigin } from './work.ts';

export function letterKey(request: DeadLetterRequest): string {
  return dedupPrefix(request.deadLetterStream) + deadLetterOrigin(request);
}

/** What follows payload and signature. */
export function letterArgs(request: DeadLetterRequest): string[] {
  const { maxLength, maxBytes = 0, fields } = request;
  const further = Object.entries(fields).flat().map(wireText);
  return [String(maxLength), String(maxBytes), String(DEAD_LETTER_DEDUP_MS), ...further];
}

/** Tells what the letter cost others. */
export function letterCode(reply: unknown, { onCut }: DeadLetterRequest): number {
  const [code = 0, cut = 0] = parseCodes(reply);
  if (cut > 0) onCut?.(cut);
  return code;
}
