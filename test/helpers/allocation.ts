/** Bytes of the heap that one call of `run` takes, on average, after warming up. Collections are kept out by few calls. */
export function bytesPerCall(run: (i: number) => void, calls = 50_000): number {
  for (let i = 0; i < 30_000; i++) run(i);
  let least = Number.POSITIVE_INFINITY;
  // A collection within a round hides what it took, and other work adds to it: the least of several that are not negative.
  for (let round = 0; round < 8; round++) {
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < calls; i++) run(i);
    const taken = process.memoryUsage().heapUsed - before;
    if (taken >= 0) least = Math.min(least, taken / calls);
  }
  return least;
}
