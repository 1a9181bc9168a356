import { setImmediate as turn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ErrorEvent } from '../../../src/faults/index.ts';
import { type Engine, engine } from '../../../src/pipeline/index.ts';
import { codeOf, gate, intake } from '../../helpers/pipeline.ts';
import { until } from '../../helpers/until.ts';

const test = suite('engine under pressure');

/** All that degradation changes. */
const limitsOf = (made: Engine<number, number>) =>
  [made.internal, made.external].flatMap((bus) =>
    bus.stats().subscriptions.map(({ name, policy, bufferSize, maxBytes, dropSlow }) => ({
      ...{ name, policy, bufferSize, maxBytes, dropSlow },
    })),
  );

test('[R-E7] degradation shrinks, sheds and limits, and afterwards everything is exactly as before', async () => {
  const source = intake<number>();
  const errors: ErrorEvent[] = [];
  const { handler, release } = gate<number>();
  const made = engine<number>({
    memoryMonitor: false,
    adapters: [source.adapter],
    internal: { bufferSize: 40 },
    emitters: [
      { emitter: { name: 'a', emit: handler }, bufferSize: 10, policy: 'dropOldest' },
      { emitter: { name: 'b', emit: () => undefined }, maxBytes: 999 },
    ],
    degradedRatePerSecond: 0,
    errorHandlers: [{ name: 'kept', handle: (event) => void errors.push(event) }],
  });
  await made.start();
  const before = limitsOf(made);
  made.degradation?.enter('shrink', 'test');
  assert.equal(
    limitsOf(made).map(({ bufferSize, dropSlow }) => [bufferSize, dropSlow]),
    [
      [10, false],
      [2, false],
      [2, false],
    ],
  );
  made.degradation?.enter('shed', 'test');
  assert.ok(limitsOf(made).every(({ dropSlow }) => dropSlow));
  await source.context.publish(1);
  assert.is(await codeOf(() => source.context.deliver(2)), 'ESPER_PIPELINE_REFUSED', 'one was the burst');
  made.degradation?.leave('test');
  assert.equal(limitsOf(made), before);
  const delivered = source.context.deliver(3);
  await turn();
  release();
  await turn();
  release();
  await delivered;
  await made.stop();
  const times = (code: string) =>
    errors.filter((event) => event.code === code).reduce((sum, { count }) => sum + count, 0);
  assert.equal([times('DEGRADED_MODE_ACTIVATED'), times('DEGRADED_MODE_CLEARED')], [2, 1]);
});

test('[R-E3][R-E7] memory beyond the shutdown threshold degrades it fully, then stops it gracefully', async () => {
  const source = intake<number>();
  const got: number[] = [];
  const codes: string[] = [];
  const made = engine<number>({
    adapters: [source.adapter],
    emitters: [{ name: 'out', emit: (event) => void got.push(event) }],
    // Far less than this process uses.
    memoryMonitor: { memoryLimitBytes: 16 * 1024 * 1024 },
    errorHandlers: [{ name: 'kept', handle: ({ code }) => void codes.push(code) }],
  });
  await made.start();
  // Nothing else here holds the process until the monitor's next look.
  await until('its stop', () => made.state === 'stopped');
  const report = await made.stopped;
  assert.match(report.reason, /^memory shutdown: \d+ % of the memory limit$/);
  assert.ok(codes.includes('MEMORY_PRESSURE') && codes.includes('DEGRADED_MODE_ACTIVATED'), codes.join());
  assert.is(await codeOf(() => source.context.publish(1)), 'ESPER_PIPELINE_CLOSED');

  for (const gracefulDegradation of [false, { automatic: false }]) {
    const brave = engine({ memoryMonitor: { memoryLimitBytes: 16 * 1024 * 1024 }, gracefulDegradation });
    await brave.start();
    await until('the level', () => brave.memory?.check().level === 'shutdown');
    assert.is(brave.state, 'running', 'opted out');
    assert.is(brave.degradation?.level ?? 0, 0);
    await brave.stop();
  }
});

test.run();
