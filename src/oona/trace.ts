/**
 * OpenTelemetry spans of the bus: a PRODUCER span for each publish, a CONSUMER span for each run of a handler, joined
 * by the trace context that the envelope carries. Without a registered tracer provider both calls cost two property
 * loads and allocate nothing.
 */
import { errorCode, errorMessage } from '../core/errors.ts';
import { choice, value } from '../core/option-rows.ts';
import { type GivenOptions, optionTable, type ResolvedOptions } from '../core/option-table.ts';
import {
  hasTracerProvider,
  isTraceApi,
  loadTraceApi,
  SPAN_KIND,
  SPAN_STATUS_ERROR,
  type TraceApi,
  type TraceAttributes,
  type TraceScope,
  type TraceSpan,
  type TraceSpanContext,
  type TraceTracer,
} from './trace-api.ts';
import type { CarriedTrace } from './trace-context.ts';
import {
  Publishing,
  type PublishSpan,
  quietly,
  spanContextOf,
  type TraceFailed,
  within,
} from './trace-span.ts';

export type { PublishSpan } from './trace-span.ts';

export const traceOptions = optionTable(
  {
    owner: 'tracing',
    title: 'Tracing',
    intro: 'Spans are made while an OpenTelemetry tracer provider is registered in the process.',
  },
  {
    api: value<TraceApi | false | undefined>({
      allowed: 'the module @opentelemetry/api (1.x), or false',
      defaultText: 'found from this package, when a provider is registered',
      default: undefined,
      accepts: (given) => given === false || isTraceApi(given),
      text: 'The API to use; false: no spans, the context that callers give is carried all the same.',
    }),
    handlerSpan: choice({
      choices: ['child', 'link'],
      default: 'child',
      text: 'How the span of a handler belongs to the one of the publish: its child, or a trace of its own with a link.',
    }),
  },
);

export type TraceOptions = GivenOptions<typeof traceOptions.rows>;

/** What a publish is about. */
export interface PublishTraced {
  readonly stream: string;
  readonly eventId: string;
  /** Bytes of the serialized message, when it is known by now. */
  readonly bodyBytes?: number;
}

/** What a handler is run for. */
export interface DeliveryTraced {
  readonly stream: string;
  readonly eventId: string;
  readonly entryId: string;
  readonly deliveryCount: number;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
}

/** Nothing of it throws because of tracing: then there is no span, and all else goes on. */
export interface BusTracer {
  /** A tracer provider is registered, and the API was found. */
  readonly active: boolean;
  /**
   * Begins a PRODUCER span below `given`, else below the active one. undefined while nobody traces: then carry `given`
   * as it is (see givenTrace).
   */
  startPublish(about: PublishTraced, given: CarriedTrace | undefined): PublishSpan | undefined;
  /**
   * Runs `handler(delivery)` inside a CONSUMER span. Calls it as it is while nobody traces. Resolves and throws as the
   * handler does.
   */
  handle<D extends DeliveryTraced>(
    group: string,
    consumer: string,
    delivery: D,
    handler: (delivery: D) => Promise<void> | void,
  ): Promise<void> | void;
}

const NAME = '@esper/fastpath/oona';
const SYSTEM = 'esper_oona';

class OpenTelemetryTracer implements BusTracer {
  readonly #options: ResolvedOptions<typeof traceOptions.rows>;
  readonly #hostId: string;
  readonly #failed: TraceFailed;
  #api: TraceApi | null | undefined;

  constructor(options: ResolvedOptions<typeof traceOptions.rows>, hostId: string, failed: TraceFailed) {
    this.#options = options;
    this.#hostId = hostId;
    this.#failed = failed;
    this.#api = options.api === false ? null : options.api;
  }

  get active(): boolean {
    return hasTracerProvider() && this.#find() !== null;
  }

  startPublish(about: PublishTraced, given: CarriedTrace | undefined): PublishSpan | undefined {
    if (!hasTracerProvider()) return undefined;
    const api = this.#find();
    return api === null ? undefined : quietly(() => this.#startPublish(api, about, given), this.#failed);
  }

  handle<D extends DeliveryTraced>(
    group: string,
    consumer: string,
    delivery: D,
    handler: (delivery: D) => Promise<void> | void,
  ): Promise<void> | void {
    if (!hasTracerProvider()) return handler(delivery);
    const api = this.#find();
    return api === null ? handler(delivery) : this.#handle(api, { group, consumer }, delivery, handler);
  }

  #find(): TraceApi | null {
    // null is an answer: switched off, or not to be found.
    if (this.#api === undefined) this.#api = loadTraceApi();
    return this.#api;
  }

  #startPublish(api: TraceApi, about: PublishTraced, given: CarriedTrace | undefined): PublishSpan {
    const { stream, eventId, bodyBytes } = about;
    const attributes: TraceAttributes = {
      'messaging.system': SYSTEM,
      'messaging.operation.name': 'publish',
      'messaging.operation.type': 'send',
      'messaging.destination.name': stream,
      'messaging.message.id': eventId,
      'messaging.client.id': this.#hostId,
    };
    if (bodyBytes !== undefined) attributes['messaging.message.body.size'] = bodyBytes;
    const active = api.context.active();
    const remote = given === undefined ? undefined : spanContextOf(api, given);
    const scope = remote === undefined ? active : api.trace.setSpanContext(active, remote);
    const span = tracerOf(api).startSpan(
      `publish ${stream}`,
      { kind: SPAN_KIND.producer, attributes },
      scope,
    );
    return new Publishing(api, active, span, stream, given, this.#failed);
  }

  #handle<D extends DeliveryTraced>(
    api: TraceApi,
    by: { readonly group: string; readonly consumer: string },
    delivery: D,
    handler: (delivery: D) => Promise<void> | void,
  ): Promise<void> | void {
    const begun = quietly(() => this.#startHandler(api, by, delivery), this.#failed);
    if (begun === undefined) return handler(delivery);
    const run = () => within(api, begun.scope, () => handler(delivery), this.#failed);
    return handled(begun.span, run, this.#failed);
  }

  #startHandler(
    api: TraceApi,
    { group, consumer }: { readonly group: string; readonly consumer: string },
    delivery: DeliveryTraced,
  ): { readonly span: TraceSpan; readonly scope: TraceScope } {
    const { stream, eventId, deliveryCount } = delivery;
    const attributes: TraceAttributes = {
      'messaging.system': SYSTEM,
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': stream,
      'messaging.message.id': eventId,
      'messaging.consumer.group.name': group,
      'messaging.client.id': consumer,
      'esper.oona.entry_id': delivery.entryId,
      'esper.oona.delivery_count': deliveryCount,
    };
    const { scope, options } = this.#origin(api, delivery);
    const span = tracerOf(api).startSpan(
      `process ${stream}`,
      { kind: SPAN_KIND.consumer, attributes, ...options },
      scope,
    );
    return { span, scope: api.trace.setSpan(scope, span) };
  }

  /** Whose child the handler's span is, and what it links to. */
  #origin(
    api: TraceApi,
    { traceparent, tracestate }: DeliveryTraced,
  ): { scope: TraceScope; options: { root?: boolean; links?: { context: TraceSpanContext }[] } } {
    const active = api.context.active();
    const carried =
      traceparent === undefined
        ? undefined
        : { traceparent, ...(tracestate === undefined ? {} : { tracestate }) };
    const remote = carried === undefined ? undefined : spanContextOf(api, carried);
    if (remote === undefined) return { scope: active, options: {} };
    if (this.#options.handlerSpan === 'link') {
      return { scope: active, options: { root: true, links: [{ context: remote }] } };
    }
    return { scope: api.trace.setSpanContext(active, remote), options: {} };
  }
}

/** Asked for each time: a provider may be taken away and another one registered. */
const tracerOf = (api: TraceApi): TraceTracer => api.trace.getTracer(NAME);

async function handled(span: TraceSpan, run: () => Promise<void> | void, failed: TraceFailed): Promise<void> {
  try {
    await run();
  } catch (error) {
    quietly(() => markFailed(span, error), failed);
    throw error;
  } finally {
    quietly(() => span.end(), failed);
  }
}

function markFailed(span: TraceSpan, error: unknown): void {
  span.setAttribute('error.type', errorCode(error) ?? '_OTHER');
  if (error instanceof Error) span.recordException(error);
  span.setStatus({ code: SPAN_STATUS_ERROR, message: errorMessage(error) });
}

/**
 * Throws OptionError. Looks for nothing and loads nothing before a provider is registered. `failed` is told of what the
 * application's tracing throws.
 */
export function createBusTracer(
  hostId: string,
  options?: TraceOptions,
  failed: TraceFailed = () => undefined,
): BusTracer {
  return new OpenTelemetryTracer(traceOptions.resolve(options), hostId, failed);
}
