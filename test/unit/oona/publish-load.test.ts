import { setImmediate as settle } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { silentLogger } from '../../../src/core/logger.ts';
import { Metrics } from '../../../src/core/metrics.ts';
import { ConservativeMode } from '../../../src/oona/publish/conservative-mode.ts';
import { EngineAnswers } from '../../../src/oona/publish/engine-answers.ts';
import { LoadHold } from '../../../src/oona/publish/load-hold.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';

const test = suite('conservative mode under an alert');
const LATENCY = 'slo:publish_latency:fast';
const STORED = 'slo:publish_stored:fast';

/** A look every 500 ms. `engine` is what a probe answers with. */
function setup() {
  const clock = createManualClock();
  const parts = { clock, metrics: new Metrics(), logger: silentLogger };
  const mode = new ConservativeMode(parts, { dwellMs: 0, quietMs: 2000 });
  const answers = new EngineAnswers(25);
  const engine = { latencyMs: 1 as number | undefined, probes: 0 };
  const probe = async (): Promise<void> => {
    engine.probes += 1;
    if (engine.latencyMs !== undefined) answers.answered(engine.latencyMs);
  };
  const load = new LoadHold({ ...parts, mode, answers, probe, quietMs: mode.quietMs });
  const looks = async (count: number): Promise<void> => {
    for (let i = 0; i < count * 10; i++) {
      clock.advance(50);
      await settle();
    }
  };
  return { clock, mode, answers, engine, load, looks };
}

test('[R-O5] an alert turns the mode on when the engine answers badly three looks long, not by itself', async () => {
  const { mode, engine, load, looks } = setup();
  load.begin(LATENCY);
  await looks(20);
  assert.equal([mode.active, engine.probes], [false, 20]);
  engine.latencyMs = 26;
  await looks(2);
  engine.latencyMs = 25;
  await looks(1);
  engine.latencyMs = 26;
  await looks(2);
  assert.not(mode.active, 'not in a row');
  await looks(1);
  assert.equal([mode.active, mode.reasons], [true, [LATENCY]]);
});

test('[R-O5] the mode is left a quiet time after the engine is well, whatever the alert says; a bad look begins it anew', async () => {
  const { mode, engine, load, looks } = setup();
  load.begin(LATENCY);
  engine.latencyMs = 300;
  await looks(3);
  engine.latencyMs = 1;
  await looks(3);
  assert.equal([mode.active, mode.reasons], [true, []]);
  engine.latencyMs = 300;
  await looks(1);
  assert.equal(mode.reasons, [LATENCY], 'one bad look is enough while it is on');
  engine.latencyMs = 1;
  await looks(4);
  assert.ok(mode.active);
  await looks(1);
  assert.not(mode.active);
});

test('[R-O5] publishes speak for the engine where there are any, by their majority; without an answer all stays', async () => {
  const { mode, answers, engine, load, looks } = setup();
  load.begin(STORED);
  const publish = async (good: number, bad: number): Promise<void> => {
    for (let i = 0; i < good; i++) answers.answered(1);
    for (let i = 0; i < bad; i++) answers.failed();
    await looks(1);
  };
  for (let i = 0; i < 5; i++) await publish(5, 5);
  assert.equal([mode.active, engine.probes], [false, 0]);
  for (let i = 0; i < 3; i++) await publish(4, 5);
  assert.equal(mode.reasons, [STORED]);
  engine.latencyMs = undefined;
  await looks(20);
  assert.equal(mode.reasons, [STORED], 'nobody knows');
  await publish(1, 0);
  assert.equal(mode.reasons, []);
});

test('[R-O5] each alert holds for itself; when the last has ended nobody looks any more', async () => {
  const { clock, mode, engine, load, looks } = setup();
  engine.latencyMs = 300;
  load.begin(LATENCY);
  load.begin(STORED);
  await looks(3);
  assert.equal([...mode.reasons].sort(), [LATENCY, STORED]);
  load.end(LATENCY);
  await looks(1);
  assert.equal(mode.reasons, [STORED]);
  load.end(STORED);
  const { probes } = engine;
  await looks(5);
  assert.equal([mode.active, engine.probes, clock.sleepers], [false, probes, 0]);
  load.begin(STORED);
  await looks(2);
  assert.not(mode.active, 'bad looks of another alert do not count');
  load.close();
  load.begin(STORED);
  await looks(5);
  assert.equal([mode.active, clock.sleepers], [false, 0]);
});

test.run();
