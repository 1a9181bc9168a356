import { Writable } from 'node:stream';
import { pino } from 'pino';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Metrics } from '../../../src/core/metrics.ts';
import { ErrorBus } from '../../../src/faults/error-bus.ts';
import type { ErrorEvent } from '../../../src/faults/error-event.ts';
import type { ErrorHandler } from '../../../src/faults/error-handler.ts';
import {
  type EscalateHandlerParts,
  type EscalationOptions,
  escalateHandler,
} from '../../../src/faults/handlers/escalate.ts';
import { logHandler } from '../../../src/faults/handlers/log.ts';
import {
  ERROR_COUNTERS,
  errorCounterName,
  metricsHandler,
  setErrorBusGauges,
} from '../../../src/faults/handlers/metrics.ts';
import { shutdownHandler } from '../../../src/faults/handlers/shutdown.ts';
import { telemetryHandler } from '../../../src/faults/handlers/telemetry.ts';
import { EmergencyLevel, type ErrorEvent as WireErrorEvent } from '../../../src/leyline/messages.ts';
import {
  CRITICAL,
  DEBUG,
  ERROR,
  errorReport,
  INFO,
  keptLogger,
  present,
  turns,
  WARNING,
} from '../../helpers/faults.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';

const test = suite('error handlers');

function setup(...handlers: ErrorHandler[]) {
  const clock = createManualClock();
  const logger = keptLogger();
  const bus = new ErrorBus({ clock, logger });
  for (const handler of handlers) bus.listen(handler);
  return { bus, clock, logger };
}

test('[R-E8] log: one line an event on a real pino, at the level of its severity', async () => {
  let written = '';
  const into = new Writable({
    write: (chunk: Buffer, _, done) => {
      written += chunk.toString();
      done();
    },
  });
  const { bus } = setup(logHandler({ logger: pino({ level: 'debug', base: null, timestamp: false }, into) }));
  const report = { context: { token: 'x', port: 80 }, error: new Error('boom') };
  for (const severity of [DEBUG, INFO, WARNING, ERROR, CRITICAL])
    bus.emit(errorReport({ severity, ...report }));
  await turns();
  const lines = written
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(
    lines.map(({ level, critical }) => [level, critical]),
    [
      [30, undefined],
      [40, undefined],
      [50, undefined],
      [50, true],
    ],
  );
  assert.is(lines[0].msg, 'adapter:http: it broke');
  assert.equal(lines[0].context, { token: '***', port: '80' });
  assert.match(lines[0].stackTrace, /^Error: boom/);
  assert.is(lines[0].code, 'ADAPTER_FAILED');
});

test('[R-E8] log: a logger that throws is a failed handler, no more', async () => {
  const logger = keptLogger();
  const { bus } = setup(
    logHandler({
      logger: {
        ...logger,
        error: () => {
          throw new Error('disk full');
        },
      },
    }),
  );
  bus.emit(errorReport());
  await turns();
  assert.is(bus.snapshot().listeners[0]?.failed, 1);
});

test('[R-E8] metrics: a fixed set of names, there from the start, that counts what was counted only as well', async () => {
  const metrics = new Metrics();
  const { bus, clock } = setup(metricsHandler({ metrics }));
  assert.is(ERROR_COUNTERS.length, 7 * 5);
  assert.equal(Object.keys(metrics.snapshot().counters).sort(), [...ERROR_COUNTERS].sort());
  for (let i = 0; i < 10; i++) bus.emit(errorReport({ severity: WARNING, code: 'BUFFER_SATURATED' }));
  bus.emit(errorReport({ severity: CRITICAL, code: 'OF_ANOTHER_PROGRAM', component: `c${Math.PI}` }));
  bus.emit(errorReport({ severity: INFO, code: 'DEGRADED_MODE_CLEARED' }));
  await turns();
  assert.is(metrics.value('pipeline.error.buffer_saturated.warning_total'), 10);
  assert.is(metrics.value('pipeline.engine.critical_total'), 1);
  assert.is(metrics.value('pipeline.engine.info_total'), 1);
  assert.is(metrics.value('pipeline.error.last_critical_ts'), clock.wallMs() / 1000);
  assert.is(Object.keys(metrics.snapshot().counters).length, 35, 'no name for a code or component');
  assert.ok(ERROR_COUNTERS.includes(errorCounterName({ type: 'pipeline.engine.x', severity: DEBUG })));
});

test('[R-E8] metrics: the accounts of the bus itself are gauges', () => {
  const metrics = new Metrics();
  const { bus } = setup({ name: 'stuck', handle: () => new Promise(() => undefined) });
  bus.emit(errorReport());
  bus.emit(errorReport({ code: 'B' }));
  bus.emit(null as never);
  setErrorBusGauges(metrics, bus.snapshot());
  const { gauges } = metrics.snapshot();
  assert.equal(gauges, {
    'faults.bus.from_handlers': 0,
    'faults.bus.malformed': 1,
    'faults.bus.records': 2,
    'faults.bus.listeners': 1,
    'faults.bus.dropped': 0,
    'faults.bus.queued': 2,
    'faults.bus.failed': 0,
    'faults.bus.timed_out': 0,
    'faults.bus.hung': 0,
  });
});

test('[R-E8] telemetry: a Leyline message each; what cannot be published is counted', async () => {
  const messages: WireErrorEvent[] = [];
  const answers: unknown[] = [undefined, false, { status: 'published' }];
  const handler = telemetryHandler({
    publish: async (message) => {
      messages.push(message);
      if (messages.length === 4) throw new Error('bus is gone');
      return answers[messages.length - 1];
    },
  });
  const { bus } = setup(handler);
  bus.emit(errorReport({ severity: INFO }));
  for (const code of ['A', 'B', 'C', 'D']) bus.emit(errorReport({ code }));
  await turns(20);
  assert.equal(
    messages.map(({ code }) => code),
    ['A', 'B', 'C', 'D'],
  );
  assert.equal(handler.snapshot(), { published: 2, unpublished: 2 });
  assert.is(bus.snapshot().listeners[0]?.failed, 1);
});

function escalation(parts: Partial<EscalateHandlerParts> = {}, options: EscalationOptions = {}) {
  const raised: [EmergencyLevel, string][] = [];
  const clock = createManualClock();
  const handler = escalateHandler(
    { clock, escalate: (level, reason) => void raised.push([level, reason]), ...parts },
    options,
  );
  return { ...setup(handler), escalationClock: clock, handler, raised };
}

test('[R-E8] escalate: by the default rules only what is CRITICAL, and a breaker is its own answer', async () => {
  const { bus, raised } = escalation();
  bus.emit(errorReport({ severity: ERROR, recoverable: false }));
  bus.emit(errorReport({ severity: CRITICAL, code: 'ADAPTER_CIRCUIT_OPEN', recoverable: false }));
  bus.emit(errorReport({ severity: CRITICAL, code: 'DEGRADED_MODE_ACTIVATED', recoverable: true }));
  bus.emit(errorReport({ severity: CRITICAL, code: 'MEMORY_PRESSURE', component: 'monitor:memory' }));
  bus.emit(errorReport({ severity: CRITICAL, code: 'OTHER', recoverable: true }));
  await turns();
  assert.equal(raised, [
    [EmergencyLevel.EMERGENCY_LEVEL_CONSERVATIVE, 'MEMORY_PRESSURE in monitor:memory: it broke'],
    [EmergencyLevel.EMERGENCY_LEVEL_NOTICE, 'OTHER in adapter:http: it broke'],
  ]);
});

test('[R-E8] escalate: the same error not again within repeatMs, a higher level at once', async () => {
  const rules = [
    { minSeverity: CRITICAL, recoverable: false, level: EmergencyLevel.EMERGENCY_LEVEL_HALT },
    { code: 'ADAPTER_FAILED', level: EmergencyLevel.EMERGENCY_LEVEL_NOTICE },
  ];
  const { bus, raised, handler, escalationClock } = escalation({ rules }, { repeatMs: 1000 });
  const emit = async (severity = ERROR): Promise<void> => {
    bus.emit(errorReport({ severity }));
    await turns();
  };
  await emit();
  await emit();
  await emit(CRITICAL);
  await emit();
  escalationClock.advance(1000);
  await emit();
  assert.equal(
    raised.map(([level]) => level),
    [1, 4, 1],
  );
  assert.equal(handler.snapshot(), { escalated: 3, repeated: 2 });
});

test('[R-E8] escalate: one that could not be raised is tried again with the next event', async () => {
  let calls = 0;
  const { bus, handler } = escalation({
    escalate: async () => {
      calls += 1;
      if (calls === 1) throw new Error('no flag');
    },
  });
  for (let i = 0; i < 3; i++) {
    bus.emit(errorReport({ severity: CRITICAL }));
    await turns();
  }
  assert.is(calls, 2);
  assert.equal(handler.snapshot(), { escalated: 1, repeated: 1 });
});

test('[R-E8] shutdown: once, by what is CRITICAL and not recoverable, and what it reports is told', async () => {
  const reasons: string[] = [];
  const told: string[] = [];
  const { bus } = setup(
    shutdownHandler({
      shutdown: (reason: string, event: ErrorEvent) => {
        reasons.push(`${reason} (${event.severity})`);
        bus.emit(errorReport({ code: 'STOPPING', severity: INFO }));
      },
      onFailure: () => assert.unreachable(),
    }),
    { name: 'listener', handle: ({ code }) => void told.push(code) },
  );
  bus.emit(errorReport({ severity: ERROR, recoverable: false }));
  bus.emit(errorReport({ severity: CRITICAL, recoverable: true, code: 'A' }));
  await turns();
  assert.equal(reasons, []);
  bus.emit(errorReport({ severity: CRITICAL, code: 'MEMORY_PRESSURE' }));
  bus.emit(errorReport({ severity: CRITICAL, code: 'B' }));
  await turns(10);
  assert.equal(reasons, [`MEMORY_PRESSURE in adapter:http: it broke (${CRITICAL})`]);
  assert.ok(told.includes('STOPPING'));
});

test('[R-E8] shutdown: one that closes the bus it came from does not wait for itself', async () => {
  let closed: { drained: boolean } | undefined;
  const failures: unknown[] = [];
  const { bus } = setup(
    shutdownHandler({
      shutdown: async () => {
        closed = await bus.close();
        throw new Error('too late');
      },
      onFailure: (error) => failures.push(error),
    }),
  );
  bus.emit(errorReport({ severity: CRITICAL }));
  await turns(20);
  assert.is(present(closed).drained, true);
  assert.is(failures.length, 1);
});

test.run();
