import { hostname } from 'node:os';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  guardOptionsFrom,
  TolariaSettingsError,
  tolariaSettingsFromEnv,
} from '../../../src/tolaria/index.ts';

const test = suite('tolaria settings');

function problemsOf(env: Record<string, string>): string[] {
  try {
    tolariaSettingsFromEnv(env);
  } catch (error) {
    if (error instanceof TolariaSettingsError) return error.problems.map(({ variable }) => variable);
    throw error;
  }
  return [];
}

test('[R-F8] has the defaults that peers share', () => {
  const settings = tolariaSettingsFromEnv({});
  const { hostId, unknownVariables, ...rest } = settings;
  assert.is(hostId, hostname().slice(0, 64));
  assert.equal(unknownVariables, []);
  assert.equal(rest, {
    runId: 'default',
    emergencyEnabled: true,
    fastPathEnabled: true,
    bypassMaxPerMin: 60,
    emergencySignalName: 'emergency-default',
    haltOnRollbackDeadline: true,
    haltAfterFailures: 3,
    rollbackEnabled: true,
    rollbackFastCapMb: 32,
    rollbackDeadlineMs: 250,
    snapshotEverySteps: 1,
    rollbackSignalName: 'rollback-default',
  });
  assert.ok(Object.isFrozen(settings));
});

test('[R-F8] reads every variable', () => {
  const settings = tolariaSettingsFromEnv({
    ESPER_RUN_ID: 'mnist',
    ESPER_HOST_ID: 'gpu-7',
    TOLARIA_EMERGENCY_ENABLED: '0',
    TOLARIA_EMERGENCY_FAST_PATH_ENABLED: 'False',
    TOLARIA_EMERGENCY_BYPASS_MAX_PER_MIN: '0',
    TOLARIA_EMERGENCY_SIGNAL_NAME: 'mine',
    TOLARIA_EMERGENCY_L4_ON_ROLLBACK_DEADLINE: 'false',
    TOLARIA_EMERGENCY_L4_FAILED_EPOCHS: '7',
    TOLARIA_ROLLBACK_ENABLED: 'false',
    TOLARIA_ROLLBACK_FAST_CAP_MB: '64',
    TOLARIA_ROLLBACK_DEADLINE_MS: '1000',
    TOLARIA_ROLLBACK_SNAPSHOT_STEPS: '25',
    TOLARIA_EMERGENCY_FASTPATH: '1',
  });
  assert.is(settings.runId, 'mnist');
  assert.is(settings.hostId, 'gpu-7');
  assert.is(settings.emergencyEnabled, false);
  assert.is(settings.fastPathEnabled, false);
  assert.is(settings.bypassMaxPerMin, 0);
  assert.is(settings.emergencySignalName, 'mine');
  assert.is(settings.rollbackSignalName, 'rollback-mnist');
  assert.is(settings.rollbackFastCapMb, 64);
  assert.equal(settings.unknownVariables, ['TOLARIA_EMERGENCY_FASTPATH']);
  assert.equal(guardOptionsFrom(settings), {
    snapshotEverySteps: 25,
    rollbackEnabled: false,
    rollbackDeadlineMs: 1000,
    haltOnRollbackDeadline: false,
    maxRollbacks: 7,
  });
});

test('[R-F8] takes a variable that is set to nothing as not set', () => {
  const settings = tolariaSettingsFromEnv({ TOLARIA_EMERGENCY_FAST_PATH_ENABLED: '', ESPER_RUN_ID: '' });
  assert.is(settings.fastPathEnabled, true);
  assert.is(settings.runId, 'default');
});

test('[R-F8] refuses what is not exactly a value, and lists all of it at once', () => {
  const env = {
    TOLARIA_EMERGENCY_FAST_PATH_ENABLED: 'maybe',
    TOLARIA_EMERGENCY_BYPASS_MAX_PER_MIN: '1e3',
    TOLARIA_ROLLBACK_DEADLINE_MS: '0',
    TOLARIA_ROLLBACK_SNAPSHOT_STEPS: ' 1',
    TOLARIA_ROLLBACK_SIGNAL_NAME: 'a/b',
    ESPER_HOST_ID: 'two words',
  };
  assert.equal(problemsOf(env).sort(), Object.keys(env).sort());
  for (const text of ['-1', '0x10', '60.5', 'NaN', 'sixty', '1000001']) {
    const name = 'TOLARIA_EMERGENCY_BYPASS_MAX_PER_MIN';
    assert.equal(problemsOf({ [name]: text }), [name], text);
  }
});

test('[R-F8] a flag is true or false in any case and nothing that objects inherit', () => {
  const name = 'TOLARIA_ROLLBACK_ENABLED';
  assert.is(tolariaSettingsFromEnv({ [name]: 'TRUE' }).rollbackEnabled, true);
  for (const text of ['constructor', 'toString', 'yes', '2'])
    assert.equal(problemsOf({ [name]: text }), [name], text);
});

test('[BAD-name-slash] refuses a run id that cannot name a segment unless the names are given', () => {
  const env = { ESPER_RUN_ID: 'team/run' };
  assert.equal(problemsOf(env), ['TOLARIA_EMERGENCY_SIGNAL_NAME', 'TOLARIA_ROLLBACK_SIGNAL_NAME']);
  const named = { ...env, TOLARIA_EMERGENCY_SIGNAL_NAME: 'a', TOLARIA_ROLLBACK_SIGNAL_NAME: 'b' };
  assert.is(tolariaSettingsFromEnv(named).runId, 'team/run');
});

test('[BAD-name-long] refuses a name of 300 characters', () => {
  const name = 'TOLARIA_EMERGENCY_SIGNAL_NAME';
  assert.equal(problemsOf({ [name]: 'x'.repeat(300) }), [name]);
});

test.run();
