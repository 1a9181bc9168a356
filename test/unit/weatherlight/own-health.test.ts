import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { prometheusText } from '../../../src/core/prometheus.ts';
import { createMemoryMonitor } from '../../../src/faults/memory/monitor.ts';
import { EmergencyLevel } from '../../../src/leyline/messages.ts';
import { createMemoryTransport } from '../../../src/oona/transport/memory.ts';
import { openEmergencySignal } from '../../../src/signals/emergency-signal.ts';
import { SettingsError } from '../../../src/weatherlight/errors.ts';
import { loadSettings } from '../../../src/weatherlight/settings.ts';
import { until } from '../../helpers/until.ts';
import { startHost, uniqueName } from '../../helpers/weatherlight.ts';

const test = suite('weatherlight: its own memory');
const {
  EMERGENCY_LEVEL_UNSPECIFIED: NONE,
  EMERGENCY_LEVEL_NOTICE: NOTICE,
  EMERGENCY_LEVEL_HALT: HALT,
} = EmergencyLevel;
/** This process uses more than that, whatever it does. */
const TINY = { WEATHERLIGHT_MEMORY_LIMIT: '4M', WEATHERLIGHT_MEMORY_INTERVAL_MS: '5' };

test('[R-E3][R-E8] memory beyond its limit: told, kept, counted, and a NOTICE on the flag of this host', async () => {
  const transport = createMemoryTransport();
  const host = await startHost({ hostId: 'a', transport, env: TINY });
  const error = await host.events.next('error');
  assert.equal([error.code, error.where], ['MEMORY_PRESSURE', 'monitor:memory']);
  await until('raised', () => host.signal.level() === NOTICE);
  const record = host.signal.history()[0];
  assert.equal([record?.origin, record?.runId], ['weatherlight', 'run']);
  assert.match(record?.reason ?? '', /^MEMORY_PRESSURE in monitor:memory: /);
  const { metrics } = host.weatherlight;
  assert.ok(metrics.value('pipeline.error.memory_pressure.critical_total') >= 1);
  assert.is(metrics.value('memory.limit_bytes'), 4 * 2 ** 20);
  assert.is(host.weatherlight.snapshot().lastErrors[0]?.code, 'MEMORY_PRESSURE');
  // It is detected as any emergency is, and the supervisor goes on.
  await host.events.next('detected', ({ emergency }) => emergency.origin === 'weatherlight');
  const { text } = await prometheusText(metrics);
  assert.match(text, /^weatherlight_emergency_detections_total 1$/m);
  assert.match(text, /^pipeline_error_memory_pressure_critical_total [1-9]/m);
  const report = await host.weatherlight.stop();
  assert.ok(report.clean);
  await host.end();
  await transport.close();
});

test('[R-E3][R-E9] switched off, with level 0, or below what stands already, it raises nothing', async () => {
  const off = await startHost({
    ...{ hostId: 'a', transport: 'none' },
    env: { ...TINY, WEATHERLIGHT_MEMORY_MONITOR: '0' },
  });
  const quiet = await startHost({
    ...{ hostId: 'b', transport: 'none' },
    env: { ...TINY, WEATHERLIGHT_ESCALATION_LEVEL: '0' },
  });
  const signal = openEmergencySignal(uniqueName('c'), { kind: 'process-local', keepAlive: false });
  signal.trigger(HALT, { runId: 'run' });
  const halted = await startHost({ hostId: 'c', transport: 'none', env: TINY, signal });
  await quiet.events.next('error');
  await halted.events.next('error');
  // Its handlers were told in the same turn; none of them waits.
  await new Promise((resolve) => setImmediate(resolve));
  assert.is(halted.signal.history().length, 1);
  assert.is(quiet.signal.level(), NONE);
  assert.is(off.weatherlight.metrics.value('memory.limit_bytes'), 0);
  assert.equal(off.events.of('error'), []);
  await off.end();
  await quiet.end();
  await halted.end();
});

test('[R-E3] without a limit of its own nothing is watched: the memory of a whole host is none of its', async () => {
  const monitor = createMemoryMonitor({}, { errors: { emit: () => undefined } });
  const host = await startHost({ hostId: 'a', transport: 'none' });
  await until('up', () => host.weatherlight.snapshot().tasks.length > 0);
  const isWatched = monitor.limit.source !== 'physical';
  await until(
    'a look, or none',
    () => !isWatched || host.weatherlight.metrics.value('memory.limit_bytes') > 0,
  );
  assert.is(host.weatherlight.metrics.value('memory.limit_bytes') > 0, isWatched);
  monitor.stop();
  await host.end();
});

test('[R-E9] settings of its own health', () => {
  const secret = { ESPER_LEYLINE_SECRET: 'correct horse battery' };
  assert.equal(loadSettings(secret).ownHealth, {
    memoryMonitor: true,
    memoryLimitBytes: undefined,
    memoryIntervalMs: 1000,
    escalationLevel: 1,
  });
  const given = { WEATHERLIGHT_MEMORY_LIMIT: '1Gi', WEATHERLIGHT_ESCALATION_LEVEL: '3' };
  const { ownHealth } = loadSettings({ ...secret, ...given });
  assert.equal([ownHealth.memoryLimitBytes, ownHealth.escalationLevel], [2 ** 30, 3]);
  for (const [variable, value] of [
    ['WEATHERLIGHT_MEMORY_MONITOR', 'maybe'],
    ['WEATHERLIGHT_MEMORY_LIMIT', 'much'],
    ['WEATHERLIGHT_MEMORY_LIMIT', '0'],
    ['WEATHERLIGHT_MEMORY_LIMIT', '-1'],
    ['WEATHERLIGHT_MEMORY_INTERVAL_MS', '0'],
    ['WEATHERLIGHT_ESCALATION_LEVEL', '5'],
  ] as const) {
    try {
      loadSettings({ ...secret, [variable]: value });
      assert.unreachable(`${variable}=${value} was taken`);
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error;
      assert.is(error.problems[0]?.variable, variable);
    }
  }
});

test.run();
