import { randomUUID } from 'node:crypto';
import { messageKind } from './publish/message-kinds.ts';
import { requireRoute } from './publish/outgoing.ts';
import type { WorkPublisher } from './publish/types.ts';
import type { StreamNames } from './streams.ts';
import type { BusTracer, PublishSpan } from './trace.ts';
import { hasTracerProvider } from './trace-api.ts';
import { givenTrace } from './trace-context.ts';
import type { BusMessage, WorkPublishOptions, WorkPublishResult } from './work-types.ts';

/** Publishes inside a PRODUCER span where somebody traces; what is not traced pays one look. */
export class TracedPublisher {
  readonly #publisher: WorkPublisher;
  readonly #tracer: BusTracer;
  readonly #streams: StreamNames;

  constructor(publisher: WorkPublisher, tracer: BusTracer, streams: StreamNames) {
    this.#publisher = publisher;
    this.#tracer = tracer;
    this.#streams = streams;
  }

  publish(message: BusMessage, options?: WorkPublishOptions): Promise<WorkPublishResult> {
    // Apart from the rest, whose closures would cost every call their context.
    return hasTracerProvider() ? this.#inSpan(message, options) : this.#publisher.publish(message, options);
  }

  async #inSpan(message: BusMessage, options: WorkPublishOptions | undefined): Promise<WorkPublishResult> {
    const begun = this.#begin(message, options);
    if (begun === undefined) return this.#publisher.publish(message, options);
    const { span, eventId } = begun;
    try {
      const carrying = { ...options, eventId, ...span.carried };
      // What the engine's client does is traced below it.
      const result = await span.run(() => this.#publisher.publish(message, carrying));
      span.end(result);
      return result;
    } catch (error) {
      span.fail(error);
      throw error;
    }
  }

  /** undefined: nobody traces, or something is wrong with message or options; the publisher says and counts what. */
  #begin(
    message: BusMessage,
    options: WorkPublishOptions | undefined,
  ): { readonly span: PublishSpan; readonly eventId: string } | undefined {
    try {
      const eventId = eventIdOf(message, options);
      const about = { stream: this.#streams[requireRoute(message, options ?? {}).to], eventId };
      const span = this.#tracer.startPublish(about, givenTrace(options?.traceparent, options?.tracestate));
      return span === undefined ? undefined : { span, eventId };
    } catch {
      return undefined;
    }
  }
}

/** The span and the message must have one id, so it is made here where the message has none. */
function eventIdOf({ type, message }: BusMessage, options: WorkPublishOptions | undefined): string {
  return options?.eventId ?? (messageKind(type).idOf(message as never) || randomUUID());
}
