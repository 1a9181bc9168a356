/** UTF-16 holds two bytes a character at most. */
const BYTES_PER_CHARACTER = 2;

/** Bytes of text, and of what has a `byteLength` (buffers, views); 0 for all else, whose size only its maker knows. */
export function sizeOfBytes(event: unknown): number {
  if (typeof event === 'string') return event.length * BYTES_PER_CHARACTER;
  if (typeof event !== 'object' || event === null) return 0;
  return (event as { readonly byteLength?: number }).byteLength ?? 0;
}
