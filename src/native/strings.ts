/** Sizes of a record's text fields in bytes of UTF-8; those of docs/shm-format.md. */
export const TEXT_BOUNDS = Object.freeze({ reason: 384, origin: 64, runId: 96, signalId: 64, subject: 64 });

const REPLACEMENT = '\ufffd';
const encoder = new TextEncoder();

/**
 * Replaces every NUL and every lone surrogate by U+FFFD. A NUL would end the text for a C reader of the segment;
 * a lone surrogate has no UTF-8 form at all.
 */
export function wellFormed(text: string): string {
  // Two built-in looks settle nearly every text; a pattern, compiled and run in a cold process, costs ten times that.
  if (text.isWellFormed() && !text.includes('\0')) return text;
  return text.toWellFormed().replaceAll('\0', REPLACEMENT);
}

/** Size of a text in UTF-8, bytes. */
export function utf8SizeBytes(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}

/** The longest beginning of a text that fits `maxBytes` of UTF-8 and ends between two code points. */
export function cutUtf8(text: string, maxBytes: number): string {
  if (text.length * 3 <= maxBytes || utf8SizeBytes(text) <= maxBytes) return text;
  // encodeInto never writes part of a code point and says how many UTF-16 units it took.
  return text.slice(0, encoder.encodeInto(text, new Uint8Array(maxBytes)).read);
}
