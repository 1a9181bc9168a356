import type { ErrorReport, ErrorSink } from '../../src/faults/error-event.ts';
import type { AdapterContext, Subscription, SubscriptionStats } from '../../src/pipeline/index.ts';

/** An error sink that keeps what it was told. */
export interface KeptErrors extends ErrorSink {
  readonly reports: ErrorReport[];
  codes(): string[];
  of(code: string): ErrorReport[];
}

export function keepErrors(): KeptErrors {
  const reports: ErrorReport[] = [];
  return {
    reports,
    emit: (report) => void reports.push(report),
    codes: () => reports.map(({ code }) => code),
    of: (code) => reports.filter((report) => report.code === code),
  };
}

/** A handler that ends its calls when told to. */
export function gate<T>() {
  const begun: T[] = [];
  const open: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  const signals: AbortSignal[] = [];
  return {
    begun,
    signals,
    handler: (event: T, given: AbortSignal | { readonly signal: AbortSignal }) => {
      begun.push(event);
      signals.push('signal' in given ? given.signal : given);
      return new Promise<void>((resolve, reject) => open.push({ resolve, reject }));
    },
    /** Ends the oldest call that is under way. */
    release: () => open.shift()?.resolve(),
    fail: (error: unknown = new Error('failed')) => open.shift()?.reject(error),
  };
}

/** The numbers of a subscription that say where its events are. */
export function where(subscription: Subscription): Partial<SubscriptionStats> {
  const { received, delivered, dropped, queued } = subscription.stats();
  return { received, delivered, dropped, queued };
}

/** `code` of what it throws or rejects with; 'none' when it does not. */
export async function codeOf(run: () => unknown): Promise<string> {
  try {
    await run();
    return 'none';
  } catch (error) {
    return String((error as { code?: unknown }).code ?? error);
  }
}

/** An adapter that gives its context away. */
export function intake<T>(name = 'in') {
  const taken: { context?: AdapterContext<T> } = {};
  return {
    adapter: {
      name,
      start: (context: AdapterContext<T>) => {
        taken.context = context;
      },
    },
    get context(): AdapterContext<T> {
      if (taken.context === undefined) throw new Error('not started');
      return taken.context;
    },
  };
}
