import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../../src/core/clock.ts';
import { type Logger, silentLogger } from '../../../src/core/logger.ts';
import { Metrics } from '../../../src/core/metrics.ts';
import { prometheusText } from '../../../src/core/prometheus.ts';
import { fromErrorMessage } from '../../../src/faults/error-wire.ts';
import { decodeMessage } from '../../../src/leyline/codec.ts';
import { BusMessageType, EmergencyLevel, ErrorSeverity } from '../../../src/leyline/messages.ts';
import { createOona, type Oona } from '../../../src/oona/oona.ts';
import { createMemoryTransport } from '../../../src/oona/transport/memory.ts';
import type { BusTransport } from '../../../src/oona/transport/transport.ts';
import type { WeatherlightEventBody } from '../../../src/weatherlight/events.ts';
import { InternalErrors } from '../../../src/weatherlight/internal-errors.ts';
import { until } from '../../helpers/until.ts';
import { readStream } from '../../helpers/weatherlight.ts';

const test = suite('weatherlight: internal errors');
const ERROR_EVENT = BusMessageType.BUS_MESSAGE_TYPE_ERROR_EVENT;
const { EMERGENCY_LEVEL_UNSPECIFIED: NONE, EMERGENCY_LEVEL_ELEVATED: ELEVATED } = EmergencyLevel;

interface Stage {
  readonly errors: InternalErrors;
  readonly metrics: Metrics;
  readonly told: WeatherlightEventBody[];
  readonly lines: string[];
}

function stage(): Stage {
  const metrics = new Metrics();
  const told: WeatherlightEventBody[] = [];
  const lines: string[] = [];
  const logger: Logger = { ...silentLogger, error: (_, text) => void lines.push(text) };
  const hub = { emit: (body: WeatherlightEventBody) => void told.push(body) };
  const errors = new InternalErrors({ clock: systemClock, metrics, logger, hub, drainTimeoutMs: 5000 });
  return { errors, metrics, told, lines };
}

async function withBus(use: (oona: Oona, transport: BusTransport) => Promise<void>): Promise<void> {
  const transport = createMemoryTransport();
  const oona = createOona({ transport, unsigned: true, source: 'weatherlight', hostId: 'a' });
  try {
    await use(oona, transport);
  } finally {
    await oona.close();
  }
}

async function errorEvents(transport: BusTransport) {
  const messages = await readStream(transport, 'oona.telemetry');
  return messages
    .filter(({ messageType }) => messageType === ERROR_EVENT)
    .map(({ payload }) => fromErrorMessage(decodeMessage(ERROR_EVENT, payload)));
}

test('[R-E5][R-E8] an error is counted, kept, logged, and told to subscribers under the name of its part', async () => {
  const { errors, metrics, told, lines } = stage();
  errors.report('outbox', Object.assign(new Error('no room'), { code: 'ESPER_SHM_NO_SPACE' }));
  errors.report('halt', 'a text');
  await until('told', () => told.length === 2);
  assert.equal(told, [
    { type: 'error', where: 'outbox', code: 'ESPER_SHM_NO_SPACE', message: 'no room' },
    { type: 'error', where: 'halt', code: 'ESPER_WEATHERLIGHT_INTERNAL', message: 'a text' },
  ]);
  assert.equal(
    errors.list().map(({ where, code }) => [where, code]),
    [
      ['outbox', 'ESPER_SHM_NO_SPACE'],
      ['halt', 'ESPER_WEATHERLIGHT_INTERNAL'],
    ],
  );
  assert.is(metrics.value('weatherlight.errors_total'), 2);
  assert.is(metrics.value('pipeline.engine.error_total'), 2);
  errors.setGauges();
  const { text } = await prometheusText(metrics);
  assert.match(text, /^pipeline_engine_error_total 2$/m);
  assert.match(text, /^faults_bus_records 2$/m);
  assert.equal(lines, ['weatherlight:outbox: no room', 'weatherlight:halt: a text']);
  await errors.close();
});

test('[R-E5] a flood: every error is counted, few are told, logged and published', async () => {
  await withBus(async (oona, transport) => {
    const { errors, metrics, told, lines } = stage();
    errors.publishOn(oona);
    for (let i = 0; i < 10_000; i++) errors.report('outbox', new Error('again'));
    await errors.close();
    assert.is(metrics.value('weatherlight.errors_total'), 10_000);
    assert.ok(told.length < 100 && lines.length < 100 && errors.list().length < 16);
    assert.match(errors.list().at(-1)?.message ?? '', /again \(and \d+ more with this code\)/);
    const published = await errorEvents(transport);
    assert.ok(published.length < 100);
    assert.is(
      published.reduce((sum, { count }) => sum + count, 0),
      10_000,
    );
    assert.equal(
      [published[0]?.component, published[0]?.severity, published[0]?.recoverable],
      ['weatherlight:outbox', ErrorSeverity.ERROR_SEVERITY_ERROR, true],
    );
  });
});

test('[R-E5] what the bus reports of itself is an error like any other', async () => {
  const { errors, told } = stage();
  errors.reportBus({
    severity: ErrorSeverity.ERROR_SEVERITY_ERROR,
    code: 'EVENT_DROPPED',
    type: 'pipeline.error.event_dropped',
    message: 'dropped',
    component: 'oona.publish.telemetry',
    count: 7,
    context: {},
    recoverable: true,
  });
  await until('told', () => told.length === 1);
  assert.equal(told[0], {
    ...{ type: 'error', where: 'oona.publish.telemetry', code: 'EVENT_DROPPED', message: 'dropped' },
  });
  await errors.close();
});

test('[R-E8][R-F9] CRITICAL and not recoverable raises the level of the settings; nothing else does, nor level 0', async () => {
  const critical = { severity: ErrorSeverity.ERROR_SEVERITY_CRITICAL, message: 'm', component: 'c' };
  for (const level of [ELEVATED, NONE]) {
    const { errors, told } = stage();
    const raised: [EmergencyLevel, string][] = [];
    errors.escalateAt(level, (at, reason) => void raised.push([at, reason]));
    errors.report('halt', new Error('an error'));
    errors.bus.emit({ ...critical, code: 'ADAPTER_CIRCUIT_OPEN', recoverable: true });
    errors.bus.emit({ ...critical, code: 'ADAPTER_FAILED', recoverable: false });
    await until('all told', () => told.length === 3);
    await errors.close();
    assert.equal(raised, level === NONE ? [] : [[ELEVATED, 'ADAPTER_FAILED in c: m']]);
  }
});

test('[R-E5] after the end of the bus an error is still counted, kept, logged and told', async () => {
  const { errors, metrics, told, lines } = stage();
  await errors.close();
  errors.report('stop bus', new Error('would not close'));
  assert.is(metrics.value('weatherlight.errors_total'), 1);
  assert.is(errors.list()[0]?.where, 'stop bus');
  assert.is(told.length, 1);
  assert.equal(lines, ['internal error']);
});

test.run();
