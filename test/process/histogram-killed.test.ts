// watchdog: 300 s
import { randomBytes } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadNative } from '../../src/native/load.ts';
import { openLatencyHistogram } from '../../src/signals/index.ts';
import { AT_ONCE, killRecorders } from '../helpers/kill-recorders.ts';
import { seededRandom } from '../helpers/seeded.ts';

const test = suite('writers of a histogram');
const KILLS = 24;
const uniqueName = (): string => `histogram.${process.pid}.${randomBytes(4).toString('hex')}`;

test(`[R-B3] ${KILLS} writers killed while they record: what returned is counted, intervals sum to the total, stripes are recycled`, async () => {
  const seed = randomBytes(4).readUInt32LE();
  console.log(`seed ${seed}`);
  // No more stripes than writers at once: each new writer needs that of a dead one.
  const plan = {
    name: uniqueName(),
    kills: KILLS,
    stripes: AT_ONCE,
    maxLifeMs: 10,
    random: seededRandom(seed),
  };
  const report = await killRecorders(plan);
  console.log(report);
  assert.is(report.kills, KILLS);
  assert.is(report.unexplained, 0, 'at most the value in flight is lost');
  assert.is(report.intervalMismatches, 0);
  assert.is(report.counted, report.returned + report.countedInFlight);
  assert.is(report.refusedWriters, 0);
  assert.ok(report.counted > KILLS && report.intervals > KILLS);
});

test('[R-B3] a 65th writer falls back, is told, and counted where readers see it', () => {
  const name = uniqueName();
  const told: string[] = [];
  const warnings: string[] = [];
  const onWarning = (warning: Error & { code?: string }) => warnings.push(`${warning.code}`);
  process.on('warning', onWarning);
  const writers = Array.from({ length: 64 }, () => openLatencyHistogram(name, { stripes: 64 }));
  const refused = openLatencyHistogram(name, { stripes: 64, onDegraded: ({ code }) => told.push(code) });
  const reader = openLatencyHistogram(name, { readOnly: true });
  try {
    assert.ok(writers.every(({ kind }) => kind === 'shared'));
    assert.equal([refused.kind, refused.degraded?.code], ['process-local', 'ESPER_NATIVE_STRIPES_FULL']);
    assert.equal(told, ['ESPER_NATIVE_STRIPES_FULL']);
    for (const writer of writers) writer.record(1);
    refused.record(1000);
    assert.equal([reader.kind, reader.snapshot().count, reader.snapshot().refusedWriters], ['shared', 64, 1]);
    assert.is(refused.snapshot().sumNs, 1000, 'what it records is its own');
    writers.shift()?.close();
    const next = openLatencyHistogram(name);
    assert.is(next.kind, 'shared', 'a stripe that was given back is used again');
    next.record(5);
    assert.equal([reader.snapshot().count, reader.snapshot().refusedWriters], [65, 1]);
    next.close();
  } finally {
    for (const writer of [...writers, refused, reader]) writer.close();
    loadNative().module.unlink(name);
  }
  return new Promise<void>((resolve) => {
    setImmediate(() => {
      process.off('warning', onWarning);
      assert.equal(warnings, ['ESPER_NATIVE_STRIPES_FULL']);
      resolve();
    });
  });
});

test.run();
