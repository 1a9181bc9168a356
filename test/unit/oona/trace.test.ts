/** With the real API and SDK of OpenTelemetry: what a service that traces sees of the bus. */
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FastpathError } from '../../../src/core/errors.ts';
import { createBusTracer, type DeliveryTraced, type TraceOptions } from '../../../src/oona/trace.ts';
import { parseTraceparent } from '../../../src/oona/trace-context.ts';
import type { WorkPublishResult } from '../../../src/oona/work-types.ts';
import { bytesPerCall } from '../../helpers/allocation.ts';
import { traced } from '../../helpers/traced.ts';

const test = suite('trace');

const about = { stream: 'oona.normal', eventId: 'e-1', bodyBytes: 42 };
const remote = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const stored: WorkPublishResult = {
  ...{ outcome: 'published', stream: 'oona.normal', entryId: '1-0', latencyMs: 1 },
};
const delivery = (given: Partial<DeliveryTraced> = {}): DeliveryTraced => ({
  ...{ stream: 'oona.normal', eventId: 'e-1', entryId: '1-0', deliveryCount: 2 },
  ...{ traceparent: remote, tracestate: undefined, ...given },
});

const tracer = (options?: TraceOptions) => createBusTracer('h1', options);

test('[R-X3] without a registered provider there is no span, and the handler is called as it is', () => {
  const bus = tracer();
  assert.is(bus.startPublish(about, undefined), undefined);
  const seen: unknown[] = [];
  const given = delivery();
  assert.is(
    bus.handle('g', 'c', given, (each) => void seen.push(each)),
    undefined,
  );
  assert.ok(seen[0] === given);
});

test('[R-X3] without a registered provider nothing is allocated', () => {
  const bus = tracer();
  const given = delivery();
  const handler = (): void => undefined;
  const taken = bytesPerCall(() => {
    bus.startPublish(about, undefined);
    bus.handle('g', 'c', given, handler);
  });
  assert.ok(taken < 4, `${taken} bytes a call`);
});

test('[R-X3] a publish is a PRODUCER span with the attributes of the messaging conventions', () =>
  traced((spans) => {
    const span = tracer().startPublish(about, undefined);
    span?.end(stored);
    const [made] = spans();
    assert.equal([made?.name, made?.kind], ['publish oona.normal', SpanKind.PRODUCER]);
    assert.equal(made?.attributes, {
      'messaging.system': 'esper_oona',
      'messaging.operation.name': 'publish',
      'messaging.operation.type': 'send',
      'messaging.destination.name': 'oona.normal',
      'messaging.message.id': 'e-1',
      'messaging.client.id': 'h1',
      'messaging.message.body.size': 42,
      'esper.oona.outcome': 'published',
      'esper.oona.entry_id': '1-0',
    });
    const carried = parseTraceparent(span?.carried?.traceparent ?? '');
    const own = made?.spanContext();
    assert.equal([carried?.traceId, carried?.spanId, carried?.flags], [own?.traceId, own?.spanId, 1]);
  }));

test('[R-X3] it is a child of the active span, or of the context that the caller gave', () =>
  traced((spans) => {
    const bus = tracer();
    const outer = trace.getTracer('t').startSpan('outer');
    context.with(trace.setSpan(context.active(), outer), () => {
      bus.startPublish(about, undefined)?.end(stored);
      const given = { traceparent: remote, tracestate: 'rojo=1,congo=2' };
      const span = bus.startPublish(about, given);
      assert.is(span?.carried?.tracestate, 'rojo=1,congo=2');
      span?.end(stored);
    });
    const [below, given] = spans();
    assert.is(below?.parentSpanContext?.spanId, outer.spanContext().spanId);
    assert.is(given?.parentSpanContext?.spanId, 'b7ad6b7169203331');
    assert.is(given?.spanContext().traceId, '0af7651916cd43dd8448eb211c80319c');
  }));

test('[R-X3] what runs inside of a publish is below it', () =>
  traced((spans) => {
    const span = tracer().startPublish(about, undefined);
    const answer = span?.run(() => {
      trace.getTracer('engine').startSpan('xadd').end();
      return 7;
    });
    span?.end(stored);
    const [below, made] = spans();
    assert.is(answer, 7);
    assert.is(below?.parentSpanContext?.spanId, made?.spanContext().spanId);
  }));

test('[R-X3] what was not stored is an error of a type that can be counted', () =>
  traced((spans) => {
    const bus = tracer();
    const base = { stream: 'oona.normal', latencyMs: 1 };
    const ends: WorkPublishResult[] = [
      { ...base, outcome: 'failed', code: 'ESPER_OONA_TIMEOUT', reason: 'late', retryable: true },
      { ...base, outcome: 'rejected', code: 'ESPER_LEYLINE_INVALID', reason: 'bad' },
      { ...base, outcome: 'dropped', reason: 'back-pressure' },
    ];
    for (const end of ends) bus.startPublish(about, undefined)?.end(end);
    bus.startPublish(about, undefined)?.fail(new FastpathError('ESPER_OONA_CLOSED', 'closed'));
    bus
      .startPublish(about, undefined)
      ?.end({ ...stored, outcome: 'rerouted', stream: 'oona.emergency', intended: 'oona.normal' });
    const made = spans();
    assert.equal(
      made.map(({ attributes }) => attributes['error.type']),
      ['ESPER_OONA_TIMEOUT', 'ESPER_LEYLINE_INVALID', 'back-pressure', 'ESPER_OONA_CLOSED', undefined],
    );
    assert.equal(
      made.map(({ status }) => status.code === SpanStatusCode.ERROR),
      [true, true, true, true, false],
    );
    assert.is(made[4]?.attributes['messaging.destination.name'], 'oona.emergency');
  }));

test('[R-X3] a handler runs in a CONSUMER span, a child of the publish; spans inside are its children', () =>
  traced(async (spans) => {
    await tracer().handle('workers', 'w-1', delivery({ tracestate: 'rojo=1' }), async () => {
      await Promise.resolve();
      trace.getTracer('t').startSpan('inside').end();
    });
    const [inside, span] = spans();
    assert.equal([span?.name, span?.kind], ['process oona.normal', SpanKind.CONSUMER]);
    assert.is(span?.spanContext().traceId, '0af7651916cd43dd8448eb211c80319c');
    assert.is(span?.parentSpanContext?.spanId, 'b7ad6b7169203331');
    assert.is(span?.parentSpanContext?.isRemote, true);
    assert.is(span?.spanContext().traceState?.serialize(), 'rojo=1');
    assert.is(inside?.parentSpanContext?.spanId, span?.spanContext().spanId);
    const { attributes } = span ?? {};
    assert.equal(
      [attributes?.['messaging.consumer.group.name'], attributes?.['messaging.operation.type']],
      ['workers', 'process'],
    );
    assert.equal(
      [attributes?.['esper.oona.entry_id'], attributes?.['esper.oona.delivery_count']],
      ['1-0', 2],
    );
  }));

test('[R-X3] or in a trace of its own that links to it', () =>
  traced(async (spans) => {
    const outer = trace.getTracer('t').startSpan('outer');
    await context.with(trace.setSpan(context.active(), outer), () =>
      tracer({ handlerSpan: 'link' }).handle('g', 'c', delivery(), () => undefined),
    );
    const [span] = spans();
    assert.is(span?.parentSpanContext, undefined);
    assert.is.not(span?.spanContext().traceId, '0af7651916cd43dd8448eb211c80319c');
    assert.equal(
      span?.links.map((link) => [link.context.traceId, link.context.spanId]),
      [['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331']],
    );
  }));

test('[R-X3] what a handler throws is in the span and is thrown on', () =>
  traced(async (spans) => {
    const bus = tracer();
    const thrown = new FastpathError('ESPER_OONA_TIMEOUT', 'too slow');
    for (const handler of [
      () => Promise.reject(thrown),
      () => {
        throw thrown;
      },
    ]) {
      let caught: unknown;
      await Promise.resolve(bus.handle('g', 'c', delivery(), handler)).catch((error: unknown) => {
        caught = error;
      });
      assert.ok(caught === thrown);
    }
    for (const span of spans()) {
      assert.equal(
        [span.status.code, span.attributes['error.type']],
        [SpanStatusCode.ERROR, 'ESPER_OONA_TIMEOUT'],
      );
      assert.is(span.events[0]?.name, 'exception');
    }
    assert.is(spans().length, 2);
  }));

test('[R-X3] a message without a context, or with one that cannot be read, begins a trace', () =>
  traced(async (spans) => {
    const bus = tracer();
    await bus.handle('g', 'c', delivery({ traceparent: undefined }), () => undefined);
    await bus.handle('g', 'c', delivery({ traceparent: 'nonsense', tracestate: 'a=1' }), () => undefined);
    assert.equal(
      spans().map((span) => span.parentSpanContext),
      [undefined, undefined],
    );
  }));

test('[R-X3] what is not sampled is carried on as not sampled', () =>
  traced(
    (spans) => {
      const span = tracer().startPublish(about, undefined);
      span?.end(stored);
      assert.is(parseTraceparent(span?.carried?.traceparent ?? '')?.flags, 0);
      assert.equal(spans(), []);
    },
    { off: true },
  ));

test('[R-X3] a provider that is registered later is found, and one that is gone is not asked', async () => {
  const bus = tracer();
  assert.is(bus.startPublish(about, undefined), undefined);
  for (let i = 0; i < 2; i++) {
    await traced((spans) => {
      bus.startPublish(about, undefined)?.end(stored);
      assert.is(spans().length, 1);
    });
    assert.is(bus.startPublish(about, undefined), undefined);
  }
});

test('[R-X3] switched off, nothing is traced; anything but the API is refused', () =>
  traced((spans) => {
    assert.is(tracer({ api: false }).startPublish(about, undefined), undefined);
    assert.equal(spans(), []);
    const refused = (error: { code?: string }): boolean => error.code === 'ESPER_OPTION_INVALID';
    assert.throws(() => tracer({ api: {} as never }), refused);
    assert.throws(() => tracer({ handlerSpan: 'both' as never }), refused);
  }));

test.run();
