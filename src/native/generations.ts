/** True when generation `a` is `b` or came after it; generations count modulo 2^32, and 0 is before everything. */
export function generationReached(a: number, b: number): boolean {
  return a !== 0 && (a - b) >>> 0 < 2 ** 31;
}
