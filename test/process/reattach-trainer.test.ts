import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Metrics } from '../../src/core/metrics.ts';
import { EmergencyLevel } from '../../src/leyline/messages.ts';
import { loadNative } from '../../src/native/load.ts';
import { createOona } from '../../src/oona/oona.ts';
import { createMemoryTransport } from '../../src/oona/transport/memory.ts';
import { type EmergencySignal, openEmergencySignal } from '../../src/signals/index.ts';
import { createEmergencyController, createTrainingGuard } from '../../src/tolaria/index.ts';
import { keyRing } from '../helpers/oona-fixtures.ts';
import { until } from '../helpers/until.ts';

// A trainer whose segment is removed under it: generations and tickets count anew in the next one.

const test = suite('a trainer in a removed segment');
const { EMERGENCY_LEVEL_NOTICE: NOTICE, EMERGENCY_LEVEL_HALT: HALT } = EmergencyLevel;
const REATTACHED = 'signals.watch.reattached_total';

async function withSignal(run: (signal: EmergencySignal, metrics: Metrics) => Promise<void>): Promise<void> {
  const name = `trainer.${process.pid}.${randomBytes(4).toString('hex')}`;
  const metrics = new Metrics();
  const signal = openEmergencySignal(name, { keepAlive: false, metrics });
  try {
    assert.is(signal.kind, 'shared', signal.degraded?.reason);
    await run(signal, metrics);
  } finally {
    signal.close();
    loadNative().module.unlink(name);
  }
}

test('[R-B2] a HALT in the new segment stops it, though its generation was decided about in the old one', () =>
  withSignal(async (signal, metrics) => {
    const controller = createEmergencyController({ signal, runId: 'run' });
    const guard = createTrainingGuard({ controller, snapshot: () => 0, restore: () => undefined });
    signal.trigger(NOTICE, { runId: 'run' });
    assert.is(guard.step({ step: 1, loss: 1 }), 'continue');
    const { segmentId } = signal;
    const seen = signal.read();

    rmSync(signal.path);
    await until('the new segment', () => metrics.value(REATTACHED) === 1);
    assert.is.not(signal.segmentId, segmentId);
    const operator = openEmergencySignal(signal.name, { keepAlive: false });
    operator.trigger(HALT, { runId: 'run' });
    assert.is(operator.read().generation, seen.generation);
    assert.is(guard.step({ step: 2, loss: 1 }), 'halt');
    const [trainer] = operator.participants();
    assert.equal(
      [trainer?.seenGeneration, trainer?.acknowledgedGeneration],
      [seen.generation, seen.generation],
      'a clear need not wait for it, and the supervisor knows that it has stopped',
    );
    operator.close();
    guard.close();
    await controller.close();
  }));

test('[R-B7] what it publishes is marked in the new segment', () =>
  withSignal(async (signal) => {
    const transport = createMemoryTransport();
    const bus = createOona({ transport, keyRing, source: 'tolaria', hostId: 'host-a' });
    const controller = createEmergencyController({ signal, bus, runId: 'run' });
    controller.escalate(HALT, { reason: 'in the old segment', step: 1 });
    await controller.flush({ deadlineMs: 10_000 });
    assert.equal(signal.unpublished(), []);
    rmSync(signal.path);
    controller.escalate(HALT, { reason: 'in the new segment', step: 2 });
    await controller.flush({ deadlineMs: 10_000 });
    assert.is(signal.history().at(-1)?.reason, 'in the new segment');
    assert.equal(signal.unpublished(), [], 'else the supervisor would publish it again');
    await controller.close();
    await bus.close();
  }));

test.run();
