/** A power of two: the place of the next value is then a mask. 512 KiB, as many bytes for every histogram. */
export const VALUES_COUNT = 2 ** 16;
export const VALUES_MASK = VALUES_COUNT - 1;
const LOWEST_NS = 1e3;
const HIGHEST_NS = 1e9;

/** Whole nanoseconds, log-uniform from 1 µs to 1 s, made beforehand: making them must not be measured. */
export function latenciesNs(): Float64Array {
  const span = Math.log(HIGHEST_NS / LOWEST_NS);
  return Float64Array.from({ length: VALUES_COUNT }, () =>
    Math.round(LOWEST_NS * Math.exp(Math.random() * span)),
  );
}
