/** A publish span, and the context that goes with a message in both directions. */
import { errorCode, errorMessage, OptionError } from '../core/errors.ts';
import {
  SPAN_STATUS_ERROR,
  type TraceApi,
  type TraceScope,
  type TraceSpan,
  type TraceSpanContext,
} from './trace-api.ts';
import {
  type CarriedTrace,
  formatTraceparent,
  formatTracestate,
  parseTraceparent,
  parseTracestate,
} from './trace-context.ts';
import type { WorkPublishResult } from './work-types.ts';

/** Told of what the tracing of the application threw: a message is never lost, late or repeated for its sake. */
export type TraceFailed = (error: unknown) => void;

/** What `ask` answers; undefined when it throws. */
export function quietly<T>(ask: () => T, failed: TraceFailed): T | undefined {
  try {
    return ask();
  } catch (error) {
    failed(error);
    return undefined;
  }
}

type Ended<T> = { readonly value: T } | { readonly thrown: unknown };

/** Calls `run` in the scope, once whatever the context manager does; returns and throws as `run` does. */
export function within<T>(api: TraceApi, scope: TraceScope, run: () => T, failed: TraceFailed): T {
  const ends: Ended<T>[] = [];
  const runOnce = (): void => {
    if (ends.length > 0) return;
    try {
      ends.push({ value: run() });
    } catch (thrown) {
      ends.push({ thrown });
    }
  };
  quietly(() => api.context.with(scope, runOnce), failed);
  runOnce();
  const [end] = ends as [Ended<T>];
  if ('thrown' in end) throw end.thrown;
  return end.value;
}

/** A publish under way. Nothing of it throws because of tracing. */
export interface PublishSpan {
  /** What the message carries: the span's own context; what was given when the provider makes no spans. */
  readonly carried: CarriedTrace | undefined;
  /** Calls `run` with the span as the active one: what it calls makes children of it. */
  run<T>(run: () => T): T;
  /** Once. */
  end(result: WorkPublishResult): void;
  /** Instead of end(): the publish threw before it was one. */
  fail(error: unknown): void;
}

export class Publishing implements PublishSpan {
  readonly carried: CarriedTrace | undefined;
  readonly #span: TraceSpan;
  readonly #stream: string;
  readonly #api: TraceApi;
  readonly #scope: TraceScope;
  readonly #traceFailed: TraceFailed;

  /** `scope`: what was active when the span began. */
  constructor(
    api: TraceApi,
    scope: TraceScope,
    span: TraceSpan,
    stream: string,
    given: CarriedTrace | undefined,
    traceFailed: TraceFailed,
  ) {
    this.#api = api;
    this.#traceFailed = traceFailed;
    this.#scope = api.trace.setSpan(scope, span);
    this.#span = span;
    this.#stream = stream;
    this.carried = carriedBy(span.spanContext()) ?? given;
  }

  run<T>(run: () => T): T {
    return within(this.#api, this.#scope, run, this.#traceFailed);
  }

  end(result: WorkPublishResult): void {
    quietly(() => this.#end(result), this.#traceFailed);
  }

  fail(error: unknown): void {
    quietly(() => {
      this.#failed(errorCode(error) ?? '_OTHER', errorMessage(error));
      this.#span.end();
    }, this.#traceFailed);
  }

  #end(result: WorkPublishResult): void {
    const { outcome } = result;
    this.#span.setAttribute('esper.oona.outcome', outcome);
    if ('entryId' in result) this.#span.setAttribute('esper.oona.entry_id', result.entryId);
    // The stream that it was meant for stays the name of the span.
    if (result.stream !== this.#stream) this.#span.setAttribute('messaging.destination.name', result.stream);
    if (outcome === 'failed' || outcome === 'rejected') this.#failed(result.code, result.reason);
    else if (outcome === 'dropped') this.#failed(result.reason, `dropped: ${result.reason}`);
    this.#span.end();
  }

  #failed(type: string, message: string): void {
    this.#span.setAttribute('error.type', type);
    this.#span.setStatus({ code: SPAN_STATUS_ERROR, message });
  }
}

/** undefined when the span has no valid context, as that of a provider without a tracer. */
function carriedBy({ traceId, spanId, traceFlags, traceState }: TraceSpanContext): CarriedTrace | undefined {
  try {
    const traceparent = formatTraceparent({ traceId, spanId, flags: traceFlags });
    const members = parseTracestate(traceState?.serialize() ?? '') ?? [];
    const tracestate = formatTracestate(members);
    return tracestate === '' ? { traceparent } : { traceparent, tracestate };
  } catch (error) {
    if (error instanceof OptionError) return undefined;
    throw error;
  }
}

/** Sampling follows the carried flags: the remote context is the parent. */
export function spanContextOf(
  api: TraceApi,
  { traceparent, tracestate }: CarriedTrace,
): TraceSpanContext | undefined {
  const parent = parseTraceparent(traceparent);
  if (parent === undefined) return undefined;
  const { traceId, spanId, flags } = parent;
  const base = { traceId, spanId, traceFlags: flags, isRemote: true };
  const members = tracestate === undefined ? undefined : parseTracestate(tracestate);
  if (members === undefined || members.length === 0) return base;
  return { ...base, traceState: api.createTraceState(formatTracestate(members)) };
}
