import { installPeers, loadPeer } from './peers.ts';

/** What is used here of hdr-histogram-js. */
export interface HdrHistogram {
  readonly totalCount: number;
  readonly mean: number;
  readonly stdDeviation: number;
  readonly maxValue: number;
  readonly numberOfSignificantValueDigits: number;
  readonly highestTrackableValue: number;
  recordValue(value: number): void;
  recordValueWithCount(value: number, count: number): void;
  getValueAtPercentile(percentile: number): number;
  outputPercentileDistribution(ticksPerHalfDistance?: number, unitRatio?: number): string;
  addWhileCorrectingForCoordinatedOmission(other: HdrHistogram, expectedInterval: number): void;
  /** Of the JavaScript implementation. */
  getCountAtIndex(index: number): number;
  destroy(): void;
}

export interface HdrBuildRequest {
  readonly bitBucketSize?: 8 | 16 | 32 | 64 | 'packed';
  readonly lowestDiscernibleValue?: number;
  readonly highestTrackableValue?: number;
  readonly numberOfSignificantValueDigits?: number;
  readonly useWebAssembly?: boolean;
}

export interface HdrLibrary {
  build(request: HdrBuildRequest): HdrHistogram;
  decodeFromCompressedBase64(text: string, bitBucketSize?: 64, useWebAssembly?: boolean): HdrHistogram;
  encodeIntoCompressedBase64(histogram: HdrHistogram): string;
  initWebAssembly(): Promise<void>;
}

/** hdr-histogram-js, installed on first use; for the benchmark and as the decoder in tests. */
export async function loadHdr(): Promise<HdrLibrary> {
  await installPeers();
  const { module, missing } = {
    missing: undefined,
    module: undefined,
    ...loadPeer<HdrLibrary>('hdr-histogram-js'),
  };
  if (module === undefined) throw new Error(`hdr-histogram-js: ${missing}`);
  return module;
}
