// watchdog: 600 s
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../src/leyline/messages.ts';
import { type DemoEnd, type DemoResult, resultOf, segmentsOf, startDemo } from '../helpers/demo.ts';
import { until } from '../helpers/until.ts';

// The demo with half of its steps: trainer, Weatherlight and operator are real processes, the digits real digits.

const test = suite('the demo');
const STEPS = '400';

let end: DemoEnd;
let result: DemoResult;

test.before(async () => {
  // Settings of the caller must not reach the demo's processes: with these it could not do its work.
  const env = {
    TOLARIA_ROLLBACK_ENABLED: '0',
    REDIS_URL: 'redis://127.0.0.1:1',
    ESPER_RUN_ID: 'somebody-else',
  };
  end = await startDemo(['--json', '--steps', STEPS], env).ended;
  result = resultOf(end);
});

test('[R-F7] a learning-rate fault explodes a real loss; the guard raises CONSERVATIVE and lowers it when well', () => {
  assert.equal(result.failures, []);
  assert.is(result.emergency.level, EmergencyLevel.EMERGENCY_LEVEL_CONSERVATIVE);
  const { lossBeforeFault, lossAtRollback } = result.trainer;
  // null: the loss went beyond every number.
  assert.ok(lossAtRollback === null || lossAtRollback > 15 * lossBeforeFault);
  assert.ok(result.emergency.cleared);
});

test('[R-F7] after the rollback the weights are those of the snapshot, and the training ends well', () => {
  assert.ok(result.trainer.rollbacks >= 1);
  assert.ok(result.trainer.restoredHashMatches);
  assert.ok(result.trainer.testAccuracy >= 0.92, `held-out accuracy ${result.trainer.testAccuracy}`);
});

test('[R-F10] Weatherlight sees the emergency in shared memory, without a bus between the processes', () => {
  assert.is(result.kind, 'shared');
  assert.is(result.bus, 'embedded');
  assert.type(result.emergency.detectLatencyMs, 'number');
});

test('[R-F4] a HALT from a third process stops the trainer, and Weatherlight sees it acknowledged', () => {
  assert.ok(result.emergency.haltAcknowledged);
  assert.is.not(result.emergency.haltSignalId, result.emergency.signalId);
  assert.is(end.code, 0, end.stderr);
  assert.is(result.ok, true);
});

test('[R-F9] nothing of the run is left in shared memory', () => {
  assert.match(result.runId, /^demo-[0-9a-f]{12}$/);
  assert.equal(segmentsOf(result.runId), []);
});

test('[R-W7] interrupted while it trains, it stops its processes and removes its names', async () => {
  const demo = startDemo([]);
  await until('the first progress', () => / step +\d+ /.test(demo.stdout()));
  const runId = /'(demo-[0-9a-f]+)'/.exec(demo.stdout())?.[1] ?? '';
  const trainer = Number(/ pid (\d+) trains /.exec(demo.stdout())?.[1]);
  assert.ok(segmentsOf(runId).length > 0, 'the run has segments while it runs');
  assert.ok(isAlive(trainer));
  demo.child.kill('SIGINT');
  const interrupted = await demo.ended;
  assert.is(interrupted.code, 130, interrupted.stderr);
  assert.not(isAlive(trainer));
  assert.equal(segmentsOf(runId), []);
});

test('[R-F9] without shared memory the demo says so and fails, rather than show what did not happen', async () => {
  const { code, stderr, stdout } = await startDemo(['--json'], { ESPER_FASTPATH_NATIVE: 'off' }).ended;
  assert.is(code, 1);
  assert.match(stderr, /demo: failed: shared memory is not available/);
  const { ok, failures } = resultOf({ code, stderr, stdout });
  assert.is(ok, false);
  assert.is(failures.length, 1);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test.run();
