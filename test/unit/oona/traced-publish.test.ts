/** Spans around a publish, with the real API and SDK of OpenTelemetry. */
import { trace } from '@opentelemetry/api';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BusMessageType, MessagePriority } from '../../../src/leyline/messages.ts';
import type { WorkPublisher } from '../../../src/oona/publish/types.ts';
import { DEFAULT_STREAMS } from '../../../src/oona/streams.ts';
import { createBusTracer } from '../../../src/oona/trace.ts';
import { TracedPublisher } from '../../../src/oona/traced-publish.ts';
import type {
  BusMessage,
  Delivery,
  WorkPublishOptions,
  WorkPublishResult,
} from '../../../src/oona/work-types.ts';
import { bytesPerCall } from '../../helpers/allocation.ts';
import { traced } from '../../helpers/traced.ts';

const test = suite('traced publish');

const report: BusMessage = {
  type: BusMessageType.BUS_MESSAGE_TYPE_FIELD_REPORT,
  message: { reportId: 'r-1' },
};
const stored: WorkPublishResult = {
  ...{ outcome: 'published', stream: 'oona.normal', entryId: '1-0', latencyMs: 1 },
};
const deliveryOf = (options: WorkPublishOptions | undefined): Delivery =>
  ({
    ...{ stream: 'oona.normal', eventId: options?.eventId, entryId: '1-0', deliveryCount: 1 },
    ...{ traceparent: options?.traceparent, tracestate: options?.tracestate },
  }) as Delivery;

type Publish = (message: BusMessage, options?: WorkPublishOptions) => Promise<WorkPublishResult>;

const through = (publish: Publish, tracer = createBusTracer('h1')) =>
  new TracedPublisher({ publish } as WorkPublisher, tracer, DEFAULT_STREAMS);

/** Keeps what it is called with. */
function recording(result: WorkPublishResult = stored) {
  const calls: (WorkPublishOptions | undefined)[] = [];
  const publish: Publish = async (_message, options) => {
    calls.push(options);
    trace.getTracer('engine').startSpan('xadd').end();
    return result;
  };
  return { calls, publish };
}

test('[R-X3] one trace from the publish to the handler, and one id', () =>
  traced(async (spans) => {
    const tracer = createBusTracer('h1');
    const { calls, publish } = recording();
    assert.is(await through(publish, tracer).publish(report), stored);
    await tracer.handle('g', 'c', deliveryOf(calls[0]), () => undefined);
    const producer = spans().find(({ name }) => name === 'publish oona.normal');
    const consumer = spans().find(({ name }) => name === 'process oona.normal');
    assert.is(consumer?.parentSpanContext?.spanId, producer?.spanContext().spanId);
    assert.is(consumer?.spanContext().traceId, producer?.spanContext().traceId);
    assert.match(calls[0]?.eventId ?? '', /r-1$/);
    assert.is(producer?.attributes['messaging.message.id'], calls[0]?.eventId);
  }));

test('[R-X3] the span names the stream that the priority chooses', () =>
  traced(async (spans) => {
    const { publish } = recording({ ...stored, stream: 'oona.emergency' });
    await through(publish).publish(report, { priority: MessagePriority.MESSAGE_PRIORITY_CRITICAL });
    assert.ok(spans().some(({ name }) => name === 'publish oona.emergency'));
  }));

test('[R-X3] what cannot be published reaches the publisher as it is, without a span', () =>
  traced(async (spans) => {
    const { calls, publish } = recording();
    const publisher = through(publish);
    const options = { traceparent: 'nonsense' };
    await publisher.publish(report, options);
    await publisher.publish(undefined as never);
    await publisher.publish({ type: 999, message: {} } as never);
    assert.is(calls.length, 3);
    assert.ok(calls[0] === options);
    assert.equal(
      spans().filter(({ name }) => name !== 'xadd'),
      [],
    );
  }));

test('[R-X3] without a provider it is what it wraps, and costs no memory', () => {
  const answer = Promise.resolve(stored);
  const publisher = through(() => answer);
  assert.ok(publisher.publish(report) === answer);
  const taken = bytesPerCall(() => {
    publisher.publish(report);
  });
  assert.ok(taken < 4, `${taken} bytes a call`);
});

test.run();
