import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Logger } from '../../src/core/logger.ts';
import { Metrics } from '../../src/core/metrics.ts';
import { EmergencyLevel } from '../../src/leyline/messages.ts';
import { ATTACH_CODES } from '../../src/native/attach-codes.ts';
import type { NativeModule } from '../../src/native/contract.ts';
import { AttachError } from '../../src/native/errors.ts';
import { createTwin } from '../../src/native/twin.ts';
import {
  type Degraded,
  openEmergencySignal,
  openLatencyHistogram,
  openRollbackSignal,
} from '../../src/signals/index.ts';

const test = suite('signal fallback');
const HALT = EmergencyLevel.EMERGENCY_LEVEL_HALT;
const GAUGE = 'tolaria.emergency.shared_signal_degraded';
const run = promisify(execFile);
const fixture = fileURLToPath(new URL('../fixtures/open-signals.ts', import.meta.url));

/** A module whose shared memory fails in a given way; the rest of it is the twin. */
function failing(error: unknown, local: NativeModule = createTwin()): NativeModule {
  return {
    ...local,
    openFlag: (options) => {
      if (options.kind === 'shared') throw error;
      return local.openFlag(options);
    },
  };
}

function recorder(): { logger: Logger; lines: { level: string; fields: object; message: string }[] } {
  const lines: { level: string; fields: object; message: string }[] = [];
  const at = (level: string) => (fields: object, message: string) => lines.push({ level, fields, message });
  return { logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }, lines };
}

test('[R-F9] ESPER_FASTPATH_NATIVE=off: process-local, with reason and one warning a name', async () => {
  const env = { ...process.env, ESPER_FASTPATH_NATIVE: 'off' };
  const { stdout } = await run(process.execPath, ['--import', 'tsx', fixture], { env });
  const told = JSON.parse(stdout);
  assert.is(told.kind, 'process-local');
  assert.is(told.degraded.code, 'ESPER_NATIVE_DISABLED');
  assert.match(told.degraded.reason, 'ESPER_FASTPATH_NATIVE=off');
  assert.is(told.seenBySecond, true, 'the flag still works inside the process');
  assert.equal(told.warnings, ['EsperDegradedWarning ESPER_NATIVE_DISABLED']);
  assert.equal(told.logged, ['emergency signal is process-local only']);
  assert.equal(told.told, [told.degraded]);
  assert.is(told.gauge, 1);
});

test('[R-F9] every way an attach can fail falls back, says so, and never throws', () => {
  for (const code of ATTACH_CODES) {
    const { logger, lines } = recorder();
    const metrics = new Metrics();
    const told: Degraded[] = [];
    const native = failing(new AttachError(code, `made to fail with ${code}`));
    const onDegraded = (degraded: Degraded) => told.push(degraded);
    const signal = openEmergencySignal('unit.fallback', { native, logger, metrics, onDegraded });
    assert.is(signal.kind, 'process-local');
    assert.equal(signal.degraded, { code, reason: `made to fail with ${code}` });
    assert.equal(told, [signal.degraded]);
    assert.equal(
      lines.map((l) => l.level),
      ['warn'],
    );
    assert.equal(lines[0]?.fields, { name: 'unit.fallback', code, reason: `made to fail with ${code}` });
    assert.is(metrics.value(GAUGE), 1);
    signal.trigger(HALT);
    assert.is(signal.isSet(), true);
    signal.close();
  }
});

test('[R-F9] an error without a code, and a value that is no error, fall back too', () => {
  for (const error of [new Error('odd'), 'text', undefined]) {
    const signal = openEmergencySignal('unit.odd', { native: failing(error) });
    assert.is(signal.degraded?.code, 'ESPER_SHM_SYSTEM');
    signal.close();
  }
});

test('[R-F9] when even private native memory fails, plain JavaScript memory is used', () => {
  const broken: NativeModule = {
    ...createTwin(),
    openFlag: () => {
      throw new AttachError('ESPER_SHM_NO_SPACE', 'no memory at all');
    },
  };
  const signal = openEmergencySignal('unit.broken', { native: broken });
  assert.is(signal.degraded?.code, 'ESPER_SHM_NO_SPACE');
  signal.trigger(HALT);
  assert.is(signal.level(), HALT);
  signal.close();
});

test('[R-F9] a broken onDegraded is logged and harms nothing', () => {
  const { logger, lines } = recorder();
  const onDegraded = () => {
    throw new Error('callback is broken');
  };
  const signal = openEmergencySignal('unit.callback', { native: createTwin(), logger, onDegraded });
  assert.equal(
    lines.map((l) => l.level),
    ['warn', 'error'],
  );
  signal.close();
});

test('[R-F9] process-local on request is no degradation', () => {
  const metrics = new Metrics();
  const { logger, lines } = recorder();
  const signal = openEmergencySignal('unit.local', { kind: 'process-local', metrics, logger });
  assert.is(signal.degraded, undefined);
  assert.is(signal.kind, 'process-local');
  assert.is(metrics.value(GAUGE), 0);
  assert.equal(lines, []);
  signal.close();
  signal.unlink();
});

test('[R-F9] rollback signal and histogram fall back alike, without touching the emergency gauge', () => {
  const metrics = new Metrics();
  const rollback = openRollbackSignal('unit.rollback', { native: createTwin(), metrics });
  const histogram = openLatencyHistogram('unit.histogram', { native: createTwin(), metrics });
  assert.equal(
    [rollback.degraded?.code, histogram.degraded?.code],
    ['ESPER_SHM_UNSUPPORTED_PLATFORM', 'ESPER_SHM_UNSUPPORTED_PLATFORM'],
  );
  assert.is(metrics.value('tolaria.rollback.shared_signal_degraded'), 1);
  assert.is(metrics.value(GAUGE), 0);
  rollback.close();
  histogram.close();
});

test('[R-F9] a mistake in the options is thrown, with the option named', () => {
  const bad: [object, RegExp][] = [
    [{ attachTimeoutMs: 0 }, /attachTimeoutMs/],
    [{ attachTimeoutMs: 60_001 }, /attachTimeoutMs/],
    [{ recheckMs: 1001 }, /recheckMs/],
    [{ kind: 'remote' }, /kind/],
    [{ recheckMS: 5 }, /did you mean "recheckMs"/],
  ];
  for (const [options, message] of bad) {
    assert.throws(() => openEmergencySignal('unit.options', options), message);
    assert.throws(
      () => openEmergencySignal('unit.options', options),
      (e: { code?: string }) => e.code === 'ESPER_OPTION_INVALID',
    );
  }
  assert.throws(() => openLatencyHistogram('unit.options', { stripes: 65 }), /stripes/);
});

test.run();
