import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { silentLogger } from '../../../src/core/logger.ts';
import { Metrics } from '../../../src/core/metrics.ts';
import type { HandledObservation } from '../../../src/oona/consumer/observer.ts';
import { DepthWatch } from '../../../src/oona/observe/depth-watch.ts';
import { LatencyBook } from '../../../src/oona/observe/latency-book.ts';
import { takeMetricsSnapshot } from '../../../src/oona/observe/metrics-snapshot.ts';
import type { EndedPublish } from '../../../src/oona/observe/observers.ts';
import { BusRecorder } from '../../../src/oona/observe/recorder.ts';
import { DEFAULT_STREAMS } from '../../../src/oona/streams.ts';
import { bytesPerCall } from '../../helpers/allocation.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';

const test = suite('observe recorder');

function rig() {
  const clock = createManualClock();
  const windowsMs = [60_000, 300_000];
  const latency = new LatencyBook({
    ...{ memory: 'process-local', name: 'recorder', windowsMs, clock, logger: silentLogger },
  });
  const recorder = new BusRecorder({ latency, streams: DEFAULT_STREAMS, fastMs: 25 });
  const metrics = new Metrics();
  const snapshot = () =>
    takeMetricsSnapshot({
      ...{ recorder, latency, metrics, windowsMs, deadLetters: undefined },
      slo: { ratios: [], limits: [], activeAlerts: [] },
      ...{ monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() },
    });
  return { recorder, metrics, snapshot };
}

const published = (latencyMs: number, depthBefore: number, depthAfter: number): EndedPublish => ({
  ...{ outcome: 'published', latencyMs, depthBefore, depthAfter },
});
const observation = (given: Partial<HandledObservation> = {}): HandledObservation => ({
  ...{ stream: 'oona.normal', outcome: 'handled', handlerMs: 2, endToEndMs: 9, deliveryCount: 1, ...given },
});

test('[R-O2] depth before, after and delta of the last publish, the largest, and the sum of deltas', () => {
  const { recorder, snapshot } = rig();
  recorder.publishEnded('normal', published(1, 10, 11));
  recorder.publishEnded('normal', published(1, 40, 41));
  recorder.publishEnded('normal', published(1, 5, 6));
  const { depth, gauges } = snapshot();
  assert.equal(depth, {
    normal: { now: 6, max: 41, before: 5, after: 6, delta: 1, deltaSum: 3, measured: 3 },
  });
  assert.is(gauges.queue_depth_normal, 6);
  recorder.depths.look('kernelRequests', 7);
  assert.is(snapshot().gauges.queue_depth_kernel_requests, 7);
});

test('[R-O2][R-O5] counters have the names that operators know', () => {
  const { recorder, snapshot, metrics } = rig();
  metrics.increment('oona.emergency.delivered_total', 3);
  recorder.publishEnded('normal', published(1, 0, 1));
  recorder.publishEnded('normal', { outcome: 'rerouted', latencyMs: 1, depthBefore: 900, depthAfter: 901 });
  recorder.publishEnded('policy', { outcome: 'dropped', latencyMs: 1, depthBefore: 1000 });
  recorder.publishEnded('normal', { outcome: 'failed', latencyMs: 500 });
  recorder.handled(observation());
  recorder.handled(observation({ outcome: 'timed-out' }));
  const { counters, gauges, depth, latency } = snapshot();
  assert.equal(
    [counters.publish_total, counters.publish_published, counters.publish_rerouted, counters.publish_dropped],
    [4, 1, 1, 1],
  );
  assert.equal([counters.publish_dropped_policy, counters.publish_failed_normal], [1, 1]);
  assert.equal([counters.consume_handled, counters.consume_handler_failures], [1, 1]);
  assert.is(counters['oona.emergency.delivered_total'], 3);
  assert.is(gauges.queue_depth_policy, 1000, 'a dropped one measured too');
  assert.is(depth.normal?.max, 1, 'the depths of a rerouted one are of another stream');
  assert.is(latency.publish.normal?.total.count, 2, 'stored ones only');
  assert.is(latency.handler.normal?.total.count, 2, 'failed runs too');
  assert.is(latency.endToEnd.normal?.total.count, 1);
});

test('[R-O2] an answer from before it was asked is counted apart: clocks of two hosts', () => {
  const { recorder, snapshot } = rig();
  recorder.handled(observation({ endToEndMs: -5 }));
  assert.is(snapshot().counters.end_to_end_uncounted, 1);
  assert.equal(snapshot().latency.endToEnd, {});
});

test('[R-O2] a stream that is not of this bus is passed over', () => {
  const { recorder, snapshot } = rig();
  recorder.handled(observation({ stream: 'somebody.elses' }));
  assert.is(snapshot().counters.consume_handled, 0);
});

test('[R-O2] snapshots are frozen all through', () => {
  const { recorder, snapshot } = rig();
  recorder.publishEnded('normal', published(1, 10, 11));
  const open: string[] = [];
  const walk = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null || path === '.slo' || path === '.windowsMs') return;
    if (!Object.isFrozen(value)) open.push(path);
    for (const [key, each] of Object.entries(value)) walk(each, `${path}.${key}`);
  };
  walk(snapshot(), '');
  assert.equal(open, []);
});

test('[R-O2] recording allocates nothing', () => {
  const { recorder } = rig();
  const ended = published(1.25, 10, 11);
  const seen = observation({ handlerMs: 2.5, endToEndMs: 9.75 });
  const kept: object[] = [];
  const control = bytesPerCall((i) => {
    kept[i % 64] = { i };
  });
  assert.ok(control >= 12, `the measurement sees an object of ${control} bytes`);
  const taken = bytesPerCall(() => {
    recorder.publishEnded('normal', ended);
    recorder.handled(seen);
  });
  assert.ok(taken < 4, `${taken} bytes a record`);
});

test('[R-O5] a stream that is deep for longer than allowed spends seconds, once it is over it does not', () => {
  let depth: number | undefined;
  const options = { highDepth: 100, clearRatio: 0.8, recoveryMs: 10_000 };
  const watch = new DepthWatch({ ...options, depthOf: (role) => (role === 'normal' ? depth : undefined) });
  let nowMs = 0;
  const run = (seconds: number): void => {
    for (let i = 0; i < seconds; i++) {
      nowMs += 1000;
      watch.tick(nowMs);
    }
  };
  run(10);
  assert.equal(watch.counts(), { good: 0, bad: 0 }, 'nobody measured');
  depth = 99;
  run(10);
  assert.equal(watch.counts(), { good: 10, bad: 0 });
  depth = 100;
  run(11);
  assert.equal(watch.counts(), { good: 21, bad: 0 }, 'exactly as long as allowed');
  run(5);
  assert.equal([watch.counts().bad, watch.longestMs()], [5, 15_000]);
  depth = 80;
  run(1);
  assert.is(watch.counts().bad, 6, 'not recovered yet');
  depth = 79;
  run(1);
  assert.equal([watch.counts().bad, watch.longestMs()], [6, 0]);
  depth = 99;
  run(20);
  assert.is(watch.counts().bad, 6);
});

test('[R-O5] depths are of this process as long as nobody else told', () => {
  const { recorder } = rig();
  assert.equal(recorder.depths.views(), {});
});

test.run();
