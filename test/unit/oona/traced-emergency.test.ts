/** Emergencies in a trace: a bus in memory, with the real API and SDK of OpenTelemetry. */
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BusMessageType } from '../../../src/leyline/messages.ts';
import type { OonaOptions } from '../../../src/oona/options.ts';
import { hostGroup } from '../../../src/oona/streams.ts';
import { createBusTracer } from '../../../src/oona/trace.ts';
import { TracedEmergencies, tracedHandler } from '../../../src/oona/traced-emergency.ts';
import { createMemoryTransport } from '../../../src/oona/transport/memory.ts';
import type { EmergencyDelivery, EmergencyPublishOptions, PublishResult } from '../../../src/oona/types.ts';
import { type Host, openReaderBench, type ReaderBench } from '../../conformance/emergency-bench.ts';
import { bytesPerCall } from '../../helpers/allocation.ts';
import { emergency } from '../../helpers/oona-fixtures.ts';
import { traced } from '../../helpers/traced.ts';
import { until } from '../../helpers/until.ts';

const test = suite('traced emergency');

const remote = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

async function onBus(
  run: (bench: ReaderBench, host: Host) => Promise<void>,
  handler?: (delivery: EmergencyDelivery) => void,
  oona: Partial<OonaOptions> = {},
): Promise<void> {
  const bench = openReaderBench(createMemoryTransport());
  const reader = { retryBaseMs: 1 };
  const host = bench.host({ oona, reader, ...(handler === undefined ? {} : { handler }) });
  try {
    await host.reader.start();
    await run(bench, host);
  } finally {
    await bench.close();
  }
}

const delivered = ({ delivered: all }: Host, count = 1) =>
  until(`${count} deliveries`, () => all.length >= count && all);

test('[R-X3] one trace from publishEmergency to the handler, one id, and what the handler does is below it', () =>
  traced((spans) =>
    onBus(
      async ({ stream }, host) => {
        const halt = emergency();
        const outer = trace.getTracer('t').startSpan('outer');
        const sent = context.with(trace.setSpan(context.active(), outer), () =>
          host.oona.publishEmergency(halt),
        );
        assert.is((await sent).outcome, 'published');
        const [delivery] = await delivered(host);
        await until('the span of the handler', () => spans().some(({ name }) => name.startsWith('process')));
        const producer = spans().find(({ name }) => name === `publish ${stream}`);
        const consumer = spans().find(({ name }) => name === `process ${stream}`);
        const work = spans().find(({ name }) => name === 'work');
        assert.equal([producer?.kind, consumer?.kind], [SpanKind.PRODUCER, SpanKind.CONSUMER]);
        assert.is(producer?.parentSpanContext?.spanId, outer.spanContext().spanId);
        assert.is(consumer?.parentSpanContext?.spanId, producer?.spanContext().spanId);
        assert.is(consumer?.spanContext().traceId, outer.spanContext().traceId);
        assert.is(work?.parentSpanContext?.spanId, consumer?.spanContext().spanId);
        const ids = [producer, consumer].map((span) => span?.attributes['messaging.message.id']);
        assert.equal(ids, [halt.signalId, halt.signalId]);
        assert.is(producer?.attributes['esper.oona.entry_id'], delivery?.entryId);
        assert.is(consumer?.attributes['messaging.consumer.group.name'], hostGroup('host-a'));
        const own = producer?.spanContext();
        assert.is(delivery?.attributes.traceparent, `00-${own?.traceId}-${own?.spanId}-01`);
      },
      () => trace.getTracer('t').startSpan('work').end(),
    ),
  ));

test('[R-X3] or a trace of its own that links to it, and none that is not sampled', async () => {
  const tracing = { tracing: { handlerSpan: 'link' } } as const;
  const publishOne = async (_bench: ReaderBench, host: Host): Promise<void> => {
    await host.oona.publishEmergency(emergency());
    await delivered(host);
    await host.reader.stop();
  };
  await traced(async (spans) => {
    await onBus(publishOne, undefined, tracing);
    const [producer, consumer] = spans();
    assert.is(consumer?.parentSpanContext, undefined);
    assert.is(consumer?.links[0]?.context.spanId, producer?.spanContext().spanId);
  });
  await traced(
    async (spans) => {
      await onBus(publishOne);
      assert.equal(spans(), []);
    },
    { off: true },
  );
});

test('[R-X3] the context that a caller gives is carried, also by publish() and without a provider', async () => {
  const given = { traceparent: remote, tracestate: 'rojo=1,congo=2' };
  const type = BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL;
  await onBus(async (_bench, host) => {
    await host.oona.publishEmergency(emergency(), given);
    await host.oona.publish({ type, message: emergency() }, given);
    for (const { attributes } of await delivered(host, 2)) {
      assert.equal([attributes.traceparent, attributes.tracestate], [remote, 'rojo=1,congo=2']);
    }
  });
  await traced((spans) =>
    onBus(async (_bench, host) => {
      await host.oona.publishEmergency(emergency(), given);
      await host.oona.publish({ type, message: emergency() }, given);
      await delivered(host, 2);
      await host.reader.stop();
      const parents = spans().map(({ parentSpanContext }) => parentSpanContext);
      assert.equal(
        parents.map((parent) => parent?.traceId),
        Array(4).fill('0af7651916cd43dd8448eb211c80319c'),
      );
      assert.is(parents.filter((parent) => parent?.spanId === 'b7ad6b7169203331').length, 2);
    }),
  );
});

test('[R-X3] an emergency is not refused for a context that cannot be read: it goes without', async () => {
  const bad: unknown[] = [
    { traceparent: 'nonsense', tracestate: 'a=1' },
    { traceparent: 7 },
    { tracestate: 'a=1' },
    { traceparent: '' },
  ];
  const all = [...bad, { traceparent: remote, tracestate: 7 }, { traceparent: remote, tracestate: '=' }];
  const publishAll = async (_bench: ReaderBench, host: Host): Promise<void> => {
    for (const options of all) {
      const result = await host.oona.publishEmergency(emergency(), options as EmergencyPublishOptions);
      assert.is(result.outcome, 'published');
    }
    const seen = (await delivered(host, all.length)).map(({ attributes }) => attributes);
    assert.ok(seen.every(({ tracestate }) => tracestate === undefined));
    await host.reader.stop();
  };
  await onBus(async (bench, host) => {
    await publishAll(bench, host);
    const carried = host.delivered.map(({ attributes }) => attributes.traceparent);
    assert.equal(carried, [...bad.map(() => undefined), remote, remote]);
  });
  await traced(() => onBus(publishAll));
});

test('[R-X3] each run of a handler that fails has its span, an error of a type that can be counted', () =>
  traced((spans) => {
    let runs = 0;
    const failing = (): void => {
      runs += 1;
      if (runs < 3) throw new TypeError('not yet');
    };
    return onBus(async (_bench, host) => {
      await host.oona.publishEmergency(emergency());
      await delivered(host);
      await host.reader.stop();
      const processed = spans().filter(({ kind }) => kind === SpanKind.CONSUMER);
      assert.equal(
        processed.map(({ status, attributes }) => [status.code, attributes['error.type']]),
        [
          [SpanStatusCode.ERROR, '_OTHER'],
          [SpanStatusCode.ERROR, '_OTHER'],
          [SpanStatusCode.UNSET, undefined],
        ],
      );
      assert.is(processed[0]?.events[0]?.name, 'exception');
    }, failing);
  }));

test('[R-X3] a publish that failed is an error; what is no emergency fails as it does without tracing', () =>
  traced(async (spans) => {
    await onBus(async (_bench, { oona }) => {
      await oona.close();
      const late = await oona.publishEmergency(emergency());
      assert.is(late.outcome, 'failed');
      const none = await oona.publishEmergency(undefined as never);
      assert.is(none.outcome, 'failed');
    });
    assert.equal(
      spans().map(({ status, attributes }) => [status.code, attributes['error.type']]),
      [[SpanStatusCode.ERROR, 'ESPER_OONA_CLOSED']],
    );
  }));

/** Tracing of an application that throws wherever the bus touches it. */
const broken = (): never => {
  throw new Error('tracing is broken');
};
const span = {
  spanContext: () => ({
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    traceFlags: 1,
  }),
  ...{ setAttribute: broken, setStatus: broken, recordException: broken, end: broken },
};
const breakages = {
  'the start of a span': { startSpan: broken, withContext: (_scope: object, run: () => unknown) => run() },
  'the end of a span': { startSpan: () => span, withContext: (_scope: object, run: () => unknown) => run() },
  'the context, before it calls': { startSpan: () => span, withContext: broken },
  'the context, after it called': {
    startSpan: () => span,
    withContext: (_scope: object, run: () => unknown) => {
      run();
      throw new Error('tracing is broken');
    },
  },
  'the context, which calls twice and once more later': {
    startSpan: () => span,
    withContext: (_scope: object, run: () => unknown) => {
      setImmediate(run);
      run();
      return run();
    },
  },
  'the context, which calls too late': {
    startSpan: () => span,
    withContext: (_scope: object, run: () => unknown) => setImmediate(run),
  },
};

for (const [what, { startSpan, withContext }] of Object.entries(breakages)) {
  test(`[R-X3] tracing that throws harms no emergency and no handler, and is counted: ${what}`, () =>
    traced(async () => {
      const api = {
        trace: {
          getTracer: () => ({ startSpan }),
          setSpan: (scope: object) => scope,
          setSpanContext: (scope: object) => scope,
          getSpanContext: () => undefined,
        },
        context: { active: () => ({}), with: withContext },
        createTraceState: () => ({ serialize: () => '' }),
      };
      let runs = 0;
      const failingOnce = (): void => {
        runs += 1;
        if (runs === 1) throw new Error('not yet');
      };
      await onBus(
        async (_bench, host) => {
          assert.is((await host.oona.publishEmergency(emergency())).outcome, 'published');
          await delivered(host);
          await host.reader.stop();
          assert.is(runs, 2, 'no run more than without tracing');
          assert.is(host.reader.stats().delivered, 1);
          const failures = host.oona.metrics.value('oona.tracing.failures_total');
          assert.ok(failures >= 3, `${failures} counted: the publish and both runs`);
        },
        failingOnce,
        { tracing: { api: api as never } },
      );
    }));
}

test('[R-X3] without a provider both are what they wrap, and cost no memory', () => {
  const answer = Promise.resolve<PublishResult>({
    ...{ outcome: 'published', stream: 'oona.emergency', entryId: '1-0', latencyMs: 1 },
  });
  const tracer = createBusTracer('h1');
  const emergencies = new TracedEmergencies(() => answer, tracer, 'oona.emergency');
  const handler = tracedHandler(() => undefined, tracer, { group: 'host:a', consumer: 'a' });
  const halt = emergency();
  const delivery = { message: halt, attributes: {} } as EmergencyDelivery;
  assert.ok(emergencies.publish(halt) === answer);
  assert.is(handler(delivery), undefined);
  const taken = bytesPerCall(() => {
    emergencies.publish(halt);
    handler(delivery);
  });
  assert.ok(taken < 4, `${taken} bytes a call`);
});

test.run();
