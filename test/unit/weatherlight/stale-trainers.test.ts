import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { errorCode } from '../../../src/core/errors.ts';
import { openEmergencySignal } from '../../../src/signals/emergency-signal.ts';
import { watchStaleTrainers } from '../../../src/weatherlight/stale-trainers.ts';
import { until } from '../../helpers/until.ts';
import { testContext } from '../../helpers/weatherlight-context.ts';

const test = suite('weatherlight stale trainers');

test('[R-B5] [R-F4] a silent trainer is an error that names it, once, until it beats again or ends', async () => {
  const context = testContext();
  const { signal, metrics, told, errors } = context;
  const open = () => openEmergencySignal(signal.name, { kind: 'process-local', keepAlive: false });
  const [trainer, operator] = [open(), open()];
  trainer.join('trainer', 'resnet', { limitsMs: { training: 30 }, phase: 'training' });
  operator.join('operator', 'me', { limitsMs: { training: 1 }, phase: 'training' });
  const stale = watchStaleTrainers(context);
  await until('named', () => told.length === 1);
  const [event] = told;
  assert.is(event?.type, 'trainerStale');
  if (event?.type !== 'trainerStale') return;
  assert.equal([event.name, event.pid, event.phase, event.limitMs], ['resnet', process.pid, 'training', 30]);
  assert.ok(event.silentMs > 30);
  assert.equal(errors.map(errorCode), ['ESPER_WEATHERLIGHT_TRAINER_STALE']);
  assert.match(String(errors[0]), `trainer resnet (pid ${process.pid})`);
  assert.equal(stale.names(), [`resnet (pid ${process.pid})`]);
  assert.is(metrics.value('weatherlight.trainers.stale'), 1);
  trainer.phase('checkpointing');
  await until('back', () => told.length === 2);
  trainer.phase('training');
  await until('silent again', () => told.length === 3);
  trainer.close();
  await until('gone', () => told.length === 4);
  assert.equal(
    told.map(({ type }) => type),
    ['trainerStale', 'trainerRecovered', 'trainerStale', 'trainerGone'],
  );
  assert.equal(stale.names(), []);
  assert.is(metrics.value('weatherlight.trainers.stale_total'), 2);
  assert.is(metrics.value('weatherlight.trainers.stale'), 0);
  stale.close();
  operator.close();
  signal.close();
});

test('[R-B5] closed while one is silent: no more news, and the gauge counts it no longer', async () => {
  const context = testContext();
  const { signal, metrics, told } = context;
  const trainer = openEmergencySignal(signal.name, { kind: 'process-local', keepAlive: false });
  trainer.join('trainer', 'resnet', { limitsMs: { training: 30 }, phase: 'training' });
  metrics.setGauge('weatherlight.trainers.stale', 2);
  const stale = watchStaleTrainers(context);
  const other: string[] = [];
  signal.onStale(({ type }) => other.push(type));
  await until('named', () => told.length === 1 && other.length === 1);
  assert.is(metrics.value('weatherlight.trainers.stale'), 3, 'those of other segments count too');
  stale.close();
  assert.equal([metrics.value('weatherlight.trainers.stale'), stale.names()], [2, []]);
  trainer.phase('checkpointing');
  await until('others hear of it', () => other.length === 2);
  assert.is(told.length, 1);
  trainer.close();
  signal.close();
});

test.run();
