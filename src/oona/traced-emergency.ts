/**
 * Emergencies in a trace, as work is. Who traces nothing pays one look; whatever is wrong with tracing, the emergency is
 * published and handled as if there were none.
 */
import type { BusTracer, DeliveryTraced, PublishSpan } from './trace.ts';
import { hasTracerProvider } from './trace-api.ts';
import { type CarriedTrace, receivedTrace } from './trace-context.ts';
import type {
  EmergencyDelivery,
  EmergencyHandler,
  EmergencyPublishOptions,
  EmergencySignalMessage,
  PublishResult,
} from './types.ts';

type Publish = (
  message: EmergencySignalMessage,
  options: EmergencyPublishOptions | undefined,
) => Promise<PublishResult>;

/** What an emergency carries of what its publisher was given. Never throws, not even on what is no text. */
export function emergencyTrace({
  traceparent,
  tracestate,
}: EmergencyPublishOptions): CarriedTrace | undefined {
  if (typeof traceparent !== 'string') return undefined;
  return receivedTrace(traceparent, typeof tracestate === 'string' ? tracestate : undefined);
}

/** Publishes emergencies inside a PRODUCER span where somebody traces. */
export class TracedEmergencies {
  readonly #publish: Publish;
  readonly #tracer: BusTracer;
  readonly #stream: string;

  /** `publish` never rejects. */
  constructor(publish: Publish, tracer: BusTracer, stream: string) {
    this.#publish = publish;
    this.#tracer = tracer;
    this.#stream = stream;
  }

  /** Never rejects. */
  publish(message: EmergencySignalMessage, options?: EmergencyPublishOptions): Promise<PublishResult> {
    const span = hasTracerProvider() ? this.#begin(message, options) : undefined;
    return span === undefined ? this.#publish(message, options) : this.#inSpan(span, message, options);
  }

  async #inSpan(
    span: PublishSpan,
    message: EmergencySignalMessage,
    options: EmergencyPublishOptions | undefined,
  ): Promise<PublishResult> {
    // A state that came without its parent, or with a bad one, belongs to another trace.
    const { traceparent: _parent, tracestate: _state, ...bounds } = options ?? {};
    // What the engine's client does is traced below it.
    const result = await span.run(() => this.#publish(message, { ...bounds, ...span.carried }));
    span.end(result);
    return result;
  }

  /** undefined also for what is no emergency: the publisher says what is wrong with it. */
  #begin(
    message: EmergencySignalMessage,
    options: EmergencyPublishOptions | undefined,
  ): PublishSpan | undefined {
    if (typeof message?.signalId !== 'string') return undefined;
    const about = { stream: this.#stream, eventId: message.signalId };
    return this.#tracer.startPublish(about, emergencyTrace(options ?? {}));
  }
}

/** The handler, each run of it inside a CONSUMER span where somebody traces. */
export function tracedHandler(
  handler: EmergencyHandler,
  tracer: BusTracer,
  { group, consumer }: { readonly group: string; readonly consumer: string },
): EmergencyHandler {
  // Apart from the rest, whose closure would cost every call its context.
  const inSpan: EmergencyHandler = (delivery) =>
    tracer.handle(group, consumer, tracedAs(delivery), () => handler(delivery));
  return (delivery) => (hasTracerProvider() ? inSpan(delivery) : handler(delivery));
}

function tracedAs({
  message,
  attributes,
  stream,
  entryId,
  deliveryCount,
}: EmergencyDelivery): DeliveryTraced {
  const { event_id: eventId, traceparent, tracestate } = attributes;
  // A peer that sets none of our attributes is known by its message.
  return { stream, eventId: eventId || message.signalId, entryId, deliveryCount, traceparent, tracestate };
}
