/**
 * What of `@opentelemetry/api` 1.x is used here, and finding it. It is an optional peer: it is looked for when somebody
 * registered a tracer provider, which nobody can without it, and never before.
 */
import { createRequire } from 'node:module';

export interface TraceSpanContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
  readonly isRemote?: boolean;
  readonly traceState?: { serialize(): string };
}

export type TraceAttributes = Record<string, string | number | boolean>;

export interface TraceSpan {
  spanContext(): TraceSpanContext;
  setAttribute(key: string, value: string | number | boolean): unknown;
  setStatus(status: { code: number; message?: string }): unknown;
  recordException(error: Error): void;
  end(): void;
}

/** Opaque: only the API reads it. */
export type TraceScope = object;

export interface TraceTracer {
  startSpan(
    name: string,
    options: {
      kind: number;
      root?: boolean;
      attributes: TraceAttributes;
      links?: { context: TraceSpanContext }[];
    },
    scope: TraceScope,
  ): TraceSpan;
}

export interface TraceApi {
  readonly trace: {
    getTracer(name: string, version?: string): TraceTracer;
    setSpan(scope: TraceScope, span: TraceSpan): TraceScope;
    setSpanContext(scope: TraceScope, context: TraceSpanContext): TraceScope;
    getSpanContext(scope: TraceScope): TraceSpanContext | undefined;
  };
  readonly context: {
    active(): TraceScope;
    with<T>(scope: TraceScope, run: () => T): T;
  };
  createTraceState(text?: string): { serialize(): string };
}

/** Of SpanKind and SpanStatusCode, which are numbers of the API's contract. */
export const SPAN_KIND = Object.freeze({ producer: 3, consumer: 4 });
export const SPAN_STATUS_ERROR = 2;

/** Where all copies of the API, CommonJS and ESM, meet: it is how one finds what another registered. */
const REGISTRY = Symbol.for('opentelemetry.js.api.1');

interface Registry {
  readonly trace?: unknown;
}

/** True while a tracer provider is registered in this process. Two property loads. */
export function hasTracerProvider(): boolean {
  return (globalThis as { [REGISTRY]?: Registry })[REGISTRY]?.trace !== undefined;
}

let loaded: TraceApi | null | undefined;

/** The API, or null when it cannot be found from here; looked for once. */
export function loadTraceApi(): TraceApi | null {
  if (loaded !== undefined) return loaded;
  loaded = requireTraceApi();
  return loaded;
}

function requireTraceApi(): TraceApi | null {
  try {
    const api: unknown = createRequire(import.meta.url)('@opentelemetry/api');
    return isTraceApi(api) ? api : null;
  } catch {
    // Absent, which is allowed: the provider was then registered by a copy that only another package sees.
    return null;
  }
}

export function isTraceApi(value: unknown): value is TraceApi {
  if (typeof value !== 'object' || value === null) return false;
  const { trace, context, createTraceState } = value as Partial<TraceApi>;
  return (
    typeof trace?.getTracer === 'function' &&
    typeof context?.with === 'function' &&
    typeof createTraceState === 'function'
  );
}
