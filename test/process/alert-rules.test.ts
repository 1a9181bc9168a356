import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { prometheusName } from '../../src/core/prometheus.ts';
import { ERROR_COUNTERS } from '../../src/faults/handlers/metrics.ts';

const test = suite('infra/prometheus/error-events.rules.yml');
const run = promisify(execFile);
const RULES = fileURLToPath(new URL('../../infra/prometheus/error-events.rules.yml', import.meta.url));
const SERIES = ERROR_COUNTERS.map(prometheusName);

interface Expected {
  readonly alert: string;
  readonly severity: string;
  /** How long the trouble must last. */
  readonly forM: number;
}

/** Which alert each event type raises, by severity, and how long the trouble must last, minutes. */
const ALERTS: Readonly<Record<string, Expected>> = {
  pipeline_error_memory_pressure_warning_total: { alert: 'MemoryPressure', severity: 'warning', forM: 0 },
  pipeline_error_memory_pressure_error_total: { alert: 'MemoryPressure', severity: 'warning', forM: 0 },
  pipeline_error_memory_pressure_critical_total: { alert: 'MemoryCritical', severity: 'critical', forM: 0 },
  pipeline_error_buffer_saturated_warning_total: { alert: 'BufferSaturated', severity: 'warning', forM: 2 },
  pipeline_error_publish_blocked_info_total: { alert: 'PublishBlocked', severity: 'warning', forM: 5 },
  pipeline_error_publish_blocked_warning_total: { alert: 'PublishBlocked', severity: 'warning', forM: 5 },
  pipeline_error_event_dropped_error_total: { alert: 'EventsDropped', severity: 'warning', forM: 0 },
  pipeline_error_adapter_failed_error_total: { alert: 'AdapterFailed', severity: 'warning', forM: 0 },
  pipeline_error_adapter_failed_critical_total: {
    alert: 'AdapterCircuitOpen',
    severity: 'critical',
    forM: 0,
  },
  pipeline_error_emitter_failed_error_total: { alert: 'EmitterFailed', severity: 'warning', forM: 0 },
  pipeline_error_emitter_failed_critical_total: {
    alert: 'EmitterCircuitOpen',
    severity: 'critical',
    forM: 0,
  },
  pipeline_engine_critical_total: { alert: 'Degraded', severity: 'critical', forM: 0 },
  pipeline_engine_error_total: { alert: 'EngineError', severity: 'warning', forM: 0 },
};
const NAMES = [...new Set(Object.values(ALERTS).map(({ alert }) => `Esper${alert}`))];

async function promtool(...args: string[]): Promise<string> {
  try {
    return (await run('promtool', args)).stdout;
  } catch (error) {
    const { code, stdout = '', stderr = '' } = error as NodeJS.ErrnoException & Record<string, string>;
    if (code === 'ENOENT') throw new Error('promtool is missing: npm run setup');
    throw new Error(`${stdout}${stderr}`);
  }
}

/** Nothing until minute 4; then one event, or one a minute for 15 minutes where trouble must last. */
function scenario(counter: string) {
  const { alert, severity, forM } = ALERTS[counter] as Expected;
  const values = forM === 0 ? '0x4 1x40' : '0x4 1+1x14 15x40';
  const firing = [{ exp_labels: { instance: 'trainer-1', severity } }];
  const at = (minute: number, name: string, fires: boolean) => ({
    eval_time: `${minute}m`,
    alertname: name,
    exp_alerts: fires ? firing : [],
  });
  return {
    name: counter,
    interval: '1m',
    input_series: SERIES.map((series) => ({
      series: `${series}{instance="trainer-1"}`,
      values: series === counter ? values : '0x60',
    })),
    alert_rule_test: [
      at(4, `Esper${alert}`, false),
      ...(forM > 0 ? [at(4 + forM, `Esper${alert}`, false)] : []),
      at(5 + forM + 1, `Esper${alert}`, true),
      ...NAMES.filter((name) => name !== `Esper${alert}`).map((name) => at(5 + forM + 1, name, false)),
      at(40, `Esper${alert}`, false),
    ],
  };
}

/** Labels only: what people are told may be worded anew. */
async function withoutAnnotations(): Promise<string> {
  const rules = await readFile(RULES, 'utf8');
  return rules.replace(/^ {8}annotations:\n(?: {10}.*\n)+/gm, '');
}

test('[R-E10] [R-O5] promtool finds nothing wrong with the rules', async () => {
  assert.match(await promtool('check', 'rules', RULES), /SUCCESS: 11 rules found/);
});

test('[R-E10] each error event raises its alert and no other, and it ends', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'esper-alerts-'));
  try {
    await writeFile(join(directory, 'rules.yml'), await withoutAnnotations());
    const tests = Object.keys(ALERTS).map(scenario);
    // JSON is YAML.
    const text = JSON.stringify({ rule_files: ['rules.yml'], evaluation_interval: '1m', tests });
    await writeFile(join(directory, 'tests.yml'), text);
    assert.match(await promtool('test', 'rules', join(directory, 'tests.yml')), /SUCCESS/);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('[R-E10] the rules ask for counters that exist', async () => {
  const asked = [...(await readFile(RULES, 'utf8')).matchAll(/\b(pipeline_\w+_total)\b/g)].map(
    ([, name]) => name ?? '',
  );
  assert.ok(asked.length > 0);
  assert.equal(
    asked.filter((name) => !SERIES.includes(name)),
    [],
  );
});

test('[R-E10] every alert says what it means and which type it is about', async () => {
  const rules = await readFile(RULES, 'utf8');
  const count = (pattern: RegExp): number => rules.match(pattern)?.length ?? 0;
  assert.is(count(/^ {10}summary: \S/gm), NAMES.length);
  assert.is(count(/^ {10}description: >-$/gm), NAMES.length);
});

test.run();
