import { randomUUID } from 'node:crypto';
import { type LatencyHistogram, openLatencyHistogram } from '../signals/latency-histogram.ts';
import type { Context } from './context.ts';
import { type Emergency, isForeignRun, summarize } from './emergency.ts';
import type { DetectionPath } from './events.ts';
import { SeenIds } from './seen-ids.ts';

/** Ids remembered. A ring holds 64 records and a stream's reader may redeliver minutes later. */
const REMEMBERED_IDS = 4096;

export interface Detection {
  readonly emergency: Emergency;
  readonly path: DetectionPath;
  /** From trigger() entered to the detection entered, milliseconds. */
  readonly latencyMs: number | undefined;
  readonly foreignRun: boolean;
}

/** Milliseconds, from trigger() entered to the detection entered. */
export interface LatencySnapshot {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface DetectionSnapshot {
  readonly total: number;
  readonly duplicates: number;
  readonly bySharedMemory: number;
  readonly byStream: number;
  readonly latency: Readonly<Record<DetectionPath, LatencySnapshot>>;
}

/**
 * One emergency reaches a supervisor twice, through shared memory and through the stream, and a stream may redeliver:
 * it is detected once, by its signal id.
 */
export interface Detector {
  /** `enteredNs`: when the path's callback was entered. Returns undefined for an id that was detected before. */
  detect(emergency: Emergency, path: DetectionPath, enteredNs: bigint): Detection | undefined;
  /** Counts later sightings of the id as duplicates without counting it as a detection. */
  remember(signalId: string): void;
  knows(signalId: string): boolean;
  snapshot(): DetectionSnapshot;
  close(): void;
}

const SEEN_COUNTER: Readonly<Record<DetectionPath, string>> = {
  'shared-memory': 'weatherlight.emergency.shared_memory_sightings_total',
  stream: 'weatherlight.emergency.stream_sightings_total',
};

function latencyOf(histogram: LatencyHistogram): LatencySnapshot {
  const snapshot = histogram.snapshot();
  const ms = (ns: number): number => ns / 1e6;
  return {
    count: snapshot.count,
    p50Ms: ms(snapshot.percentile(50)),
    p99Ms: ms(snapshot.percentile(99)),
    maxMs: ms(snapshot.maxNs),
  };
}

export function createDetector(context: Context): Detector {
  const { metrics, settings } = context;
  const seen = new SeenIds(REMEMBERED_IDS);
  // A name of its own: within a process, memory of the same name is the same memory.
  const histogram = (path: DetectionPath): LatencyHistogram =>
    openLatencyHistogram(`detection-${path}-${randomUUID()}`, { kind: 'process-local', stripes: 1 });
  const latency = { 'shared-memory': histogram('shared-memory'), stream: histogram('stream') };

  function announce(detection: Detection): void {
    const { emergency, path, latencyMs, foreignRun } = detection;
    context.emit({ type: 'detected', path, emergency: summarize(emergency), latencyMs, foreignRun });
  }

  return {
    detect(emergency, path, enteredNs) {
      metrics.increment(SEEN_COUNTER[path]);
      if (!seen.add(emergency.signalId)) {
        metrics.increment('weatherlight.emergency.duplicate_detections_total');
        context.emit({ type: 'duplicateDetection', path, signalId: emergency.signalId });
        return undefined;
      }
      metrics.increment('weatherlight.emergency.detections_total');
      const triggeredNs = emergency.triggeredNs;
      const latencyNs = triggeredNs === undefined ? undefined : Number(enteredNs - triggeredNs);
      if (latencyNs !== undefined) latency[path].record(latencyNs);
      const latencyMs = latencyNs === undefined ? undefined : latencyNs / 1e6;
      const foreignRun = isForeignRun(emergency.runId, settings.runId);
      const detection = Object.freeze({ emergency, path, latencyMs, foreignRun });
      announce(detection);
      return detection;
    },
    remember: (signalId) => void seen.add(signalId),
    knows: (signalId) => seen.has(signalId),
    snapshot: () => ({
      total: metrics.value('weatherlight.emergency.detections_total'),
      duplicates: metrics.value('weatherlight.emergency.duplicate_detections_total'),
      bySharedMemory: metrics.value(SEEN_COUNTER['shared-memory']),
      byStream: metrics.value(SEEN_COUNTER.stream),
      latency: { 'shared-memory': latencyOf(latency['shared-memory']), stream: latencyOf(latency.stream) },
    }),
    close() {
      for (const one of Object.values(latency)) one.close();
    },
  };
}
