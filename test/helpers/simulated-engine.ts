import { TransportError } from '../../src/oona/errors.ts';
import { createMemoryTransport } from '../../src/oona/transport/memory.ts';
import type { AppendRequest, BusTransport, CallOptions } from '../../src/oona/transport/transport.ts';
import type { ManualClock } from './manual-clock.ts';

/** 'refusing' answers at once with an error, 'silent' not within any deadline, 'slow' late but well. */
export type EngineState = 'well' | 'slow' | 'refusing' | 'silent';

export interface SimulatedEngine {
  readonly transport: BusTransport;
  state: EngineState;
}

/** How late a slow engine is, milliseconds. */
const SLOW_MS = 300;

/** The memory engine behind one server that takes appends and pings in turn, `serviceMs` each, on a manual clock. */
export function simulateEngine(clock: ManualClock, serviceMs: number): SimulatedEngine {
  const inner = createMemoryTransport();
  let freeAtMs = 0;

  async function serve({ deadlineMs }: CallOptions): Promise<void> {
    if (engine.state === 'refusing') {
      throw new TransportError('ESPER_OONA_DISCONNECTED', 'simulated: away', { retryable: true });
    }
    if (engine.state === 'silent') {
      await clock.sleep(deadlineMs);
      throw new TransportError('ESPER_OONA_TIMEOUT', 'simulated: silent', { retryable: true });
    }
    const isSlow = engine.state === 'slow';
    freeAtMs = Math.max(freeAtMs, clock.monotonicMs()) + serviceMs;
    await clock.sleep(freeAtMs - clock.monotonicMs() + (isSlow ? SLOW_MS : 0));
  }

  const served = {
    append: async (request: AppendRequest, options: CallOptions) => {
      await serve(options);
      return await inner.append(request, options);
    },
    ping: async (options: CallOptions) => {
      await serve(options);
      await inner.ping(options);
    },
  };
  const transport = new Proxy(inner, {
    get(target, key) {
      if (key === 'append' || key === 'ping') return served[key];
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const engine: SimulatedEngine = { transport, state: 'well' };
  return engine;
}
