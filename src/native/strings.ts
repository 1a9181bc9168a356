/** Sizes of a record's text fields in bytes of UTF-8; those of docs/shm-format.md. */
export const TEXT_BOUNDS = Object.freeze({ reason: 384, origin: 64, runId: 96, signalId: 64, subject: 64 });

const REPLACEMENT = '\ufffd';
const LONE_SURROGATE = /\p{Surrogate}/gu;
const SUSPECT = new RegExp(`[${String.fromCharCode(0)}\ud800-\udfff]`);
const encoder = new TextEncoder();

/**
 * Replaces every NUL and every lone surrogate by U+FFFD. A NUL would end the text for a C reader of the segment;
 * a lone surrogate has no UTF-8 form at all.
 */
export function wellFormed(text: string): string {
  // One look settles nearly every text: a trigger must not pay for two replacements a field.
  if (text === '' || !SUSPECT.test(text)) return text;
  return text.replaceAll('\0', REPLACEMENT).replace(LONE_SURROGATE, REPLACEMENT);
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
