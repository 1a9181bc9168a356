/** The SDK of OpenTelemetry, as a service that traces has it. */
import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  AlwaysOffSampler,
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';

/** Runs with a registered provider and takes it away again. `off`: nothing is sampled. */
export async function traced(
  run: (spans: () => ReadableSpan[]) => Promise<void> | void,
  options: { readonly off?: boolean } = {},
): Promise<void> {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(exporter)],
    ...(options.off === true ? { sampler: new AlwaysOffSampler() } : {}),
  });
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  try {
    await run(() => exporter.getFinishedSpans());
  } finally {
    trace.disable();
    context.disable();
    propagation.disable();
    await provider.shutdown();
  }
}
