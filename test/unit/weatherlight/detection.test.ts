import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../../src/leyline/messages.ts';
import { createDetector } from '../../../src/weatherlight/detection.ts';
import type { Emergency } from '../../../src/weatherlight/emergency.ts';
import { SeenIds } from '../../../src/weatherlight/seen-ids.ts';
import { testContext } from '../../helpers/weatherlight-context.ts';

const test = suite('weatherlight detection');

function emergency(signalId: string, more: Partial<Emergency> = {}): Emergency {
  const level = EmergencyLevel.EMERGENCY_LEVEL_HALT;
  return {
    signalId,
    level,
    reason: 'r',
    origin: 'o',
    runId: 'run',
    step: 1,
    triggeredNs: 1_000_000n,
    ...more,
  };
}

test('[R-F4] one emergency on both paths is one detection and one duplicate', () => {
  const context = testContext();
  const detector = createDetector(context);
  const first = detector.detect(emergency('a'), 'shared-memory', 3_000_000n);
  assert.is(first?.latencyMs, 2);
  assert.is(detector.detect(emergency('a'), 'stream', 9_000_000n), undefined);
  assert.is(context.metrics.value('weatherlight.emergency.detections_total'), 1);
  assert.is(context.metrics.value('weatherlight.emergency.duplicate_detections_total'), 1);
  const snapshot = detector.snapshot();
  assert.equal([snapshot.bySharedMemory, snapshot.byStream], [1, 1]);
  assert.equal(
    context.told.map((event) => event.type),
    ['detected', 'duplicateDetection'],
  );
  detector.close();
});

test('[R-F4] other signal ids are other emergencies, whatever else they share', () => {
  const context = testContext();
  const detector = createDetector(context);
  for (const id of ['a', 'b', 'c']) assert.ok(detector.detect(emergency(id), 'stream', 2_000_000n));
  assert.is(context.metrics.value('weatherlight.emergency.detections_total'), 3);
  detector.close();
});

test('[R-F5] the latency is recorded by path, and only where the clocks are the same', () => {
  const detector = createDetector(testContext());
  detector.detect(emergency('a'), 'shared-memory', 3_000_000n);
  detector.detect(emergency('b', { triggeredNs: undefined }), 'stream', 3_000_000n);
  const { latency } = detector.snapshot();
  assert.is(latency['shared-memory'].count, 1);
  assert.ok(Math.abs(latency['shared-memory'].p50Ms - 2) < 0.02);
  assert.is(latency.stream.count, 0);
  detector.close();
});

test('[R-F4] an emergency of another run is marked as such', () => {
  const detector = createDetector(testContext());
  assert.is(
    detector.detect(emergency('a', { runId: 'other' }), 'shared-memory', 2_000_000n)?.foreignRun,
    true,
  );
  assert.is(detector.detect(emergency('b', { runId: '' }), 'shared-memory', 2_000_000n)?.foreignRun, false);
  detector.close();
});

test('[R-F4] remembered ids are bounded: the one not seen for longest leaves', () => {
  const seen = new SeenIds(3);
  for (const id of ['a', 'b', 'c']) assert.ok(seen.add(id));
  assert.not(seen.add('a'));
  assert.ok(seen.add('d'));
  assert.is(seen.size, 3);
  assert.ok(seen.has('a') && seen.has('c') && seen.has('d'));
  assert.not(seen.has('b'));
});

test.run();
