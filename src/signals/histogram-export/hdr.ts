import { deflateSync } from 'node:zlib';
import type { HistogramView } from '../histogram-view.ts';

/**
 * HdrHistogram's V2 encoding, compressed, in base64.
 *
 * A HdrHistogram of 2 significant digits from 1 to 2^42 - 1 has 256 buckets of 1 and then 128 an octave: exactly ours,
 * bucket for bucket, 4608 of them. So nothing is mapped and no error is added. Its tools tell a bucket by its highest
 * value, up to 1/128 (0.78 %) above what was recorded; ours tell the middle.
 */
const SIGNIFICANT_DIGITS = 2;
const LOWEST_VALUE = 1n;
const HIGHEST_VALUE = 2n ** 42n - 1n;
const COOKIE = 0x1c849303;
const COMPRESSED_COOKIE = 0x1c849304;
/** Size of a counter's word as the cookie tells it: a number of variable length. */
const VARIABLE_WORD = 0x10;
const HEADER_BYTES = 40;

/** Numbers 7 bits at a time, lowest first, the sign in the lowest bit: a count, or minus a run of empty buckets. */
function putNumber(bytes: number[], value: number): void {
  let rest = value >= 0 ? value * 2 : -value * 2 - 1;
  // Division, not shifts: counts go up to 2^53.
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
}

function encodeCounts(counts: Float64Array): number[] {
  const bytes: number[] = [];
  const end = Math.max(1, counts.findLastIndex((count) => count > 0) + 1);
  for (let index = 0; index < end; ) {
    const start = index;
    while (index < end && counts[index] === 0) index += 1;
    const empty = index - start;
    if (empty === 0) putNumber(bytes, counts[index++] ?? 0);
    else putNumber(bytes, empty === 1 ? 0 : -empty);
  }
  return bytes;
}

/** See HistogramSnapshot.toHdrBase64. Out-of-range and invalid values have no place in the format. */
export function toHdrBase64(view: HistogramView): string {
  const counts = encodeCounts(view.counts);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(COOKIE | VARIABLE_WORD, 0);
  header.writeUInt32BE(counts.length, 4);
  // 8: normalizing index offset, 0
  header.writeUInt32BE(SIGNIFICANT_DIGITS, 12);
  header.writeBigUInt64BE(LOWEST_VALUE, 16);
  header.writeBigUInt64BE(HIGHEST_VALUE, 24);
  // Ratio of an integer to the double value that it stands for.
  header.writeDoubleBE(1, 32);
  const compressed = deflateSync(Buffer.concat([header, Buffer.from(counts)]));
  const envelope = Buffer.alloc(8);
  envelope.writeUInt32BE(COMPRESSED_COOKIE | VARIABLE_WORD, 0);
  envelope.writeUInt32BE(compressed.length, 4);
  return Buffer.concat([envelope, compressed]).toString('base64');
}
