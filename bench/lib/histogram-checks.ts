import { randomBytes } from 'node:crypto';
import {
  BUCKET_COUNT,
  bucketIndex,
  bucketLowNs,
  bucketValueNs,
  bucketWidthNs,
  EXACT_BUCKETS,
} from '../../src/native/histogram-buckets.ts';
import { killRecorders } from '../../test/helpers/kill-recorders.ts';
import { seededRandom } from '../../test/helpers/seeded.ts';
import type { Report } from './report.ts';

/** The largest double below a positive one. */
function below(value: number): number {
  const bits = new BigUint64Array(new Float64Array([value]).buffer);
  bits[0] = (bits[0] ?? 0n) - 1n;
  return new Float64Array(bits.buffer)[0] ?? 0;
}

/**
 * Error of what is told for a value, at both edges of every bucket and in its middle, as a part of the value. Below
 * 256 ns whole nanoseconds are told as they are.
 */
export function measureErrorBound(report: Report): void {
  let worst = 0;
  let points = 0;
  for (let index = 1; index < BUCKET_COUNT; index++) {
    const [low, width] = [bucketLowNs(index), bucketWidthNs(index)];
    const exact = index < EXACT_BUCKETS;
    for (const value of exact ? [low] : [low, low + width / 2, low + width - 1, below(low + width)]) {
      const told = bucketValueNs(bucketIndex(value));
      worst = Math.max(worst, Math.abs(told - value) / value);
      points += 1;
    }
  }
  report.results.max_relative_error_percent = worst * 100;
  report.results.max_relative_error_points_count = points;
  const percent = (worst * 100).toFixed(4);
  console.log(
    `\nError bound: at most ${percent} % over ${points.toLocaleString('en-US')} values, every edge of every bucket`,
  );
}

/** Writers killed by SIGKILL while they record. False when a count is not explained: that is no matter of speed. */
export async function checkKills(name: string, kills: number, report: Report): Promise<boolean> {
  const seed = randomBytes(4).readUInt32LE();
  const told = await killRecorders({ name, kills, stripes: 3, maxLifeMs: 5, random: seededRandom(seed) });
  report.results.sigkill_count = told.kills;
  report.results.sigkill_recorded_count = told.counted;
  report.results.sigkill_lost_in_flight_count = told.lostInFlight;
  report.results.sigkill_unexplained_count = told.unexplained;
  report.results.sigkill_intervals_count = told.intervals;
  report.results.sigkill_interval_mismatch_count = told.intervalMismatches;
  const figure = (value: number): string => value.toLocaleString('en-US');
  console.log(
    `\nSIGKILL: ${told.kills} writers killed while they recorded ${figure(told.counted)} values (seed ${seed}); ` +
      `${told.lostInFlight} lost the value in flight, ${told.unexplained} counts are unexplained\n` +
      `  the sum of ${told.intervals} intervals is the total: ${told.intervalMismatches} buckets differ`,
  );
  return told.unexplained === 0 && told.intervalMismatches === 0;
}
