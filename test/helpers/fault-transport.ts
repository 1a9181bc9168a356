import { TransportError } from '../../src/oona/errors.ts';
import { createMemoryTransport } from '../../src/oona/transport/memory.ts';
import type {
  AppendRequest,
  AppendResult,
  BusTransport,
  CallOptions,
} from '../../src/oona/transport/transport.ts';

/**
 * 'down': appends fail at once. 'refusing': they fail for good. 'stuck': they settle when released. 'lost-reply': they
 * are stored and fail.
 */
export type FaultMode = 'up' | 'down' | 'refusing' | 'stuck' | 'lost-reply';

/** The real memory engine behind a line that a test can cut. Appends only; everything else goes straight through. */
export interface FaultTransport extends BusTransport {
  mode: FaultMode;
  /** Appends that were asked for. */
  readonly attempts: AppendRequest[];
  /** Lets go of what is stuck, as failed. */
  release(): void;
}

export function createFaultTransport(): FaultTransport {
  const memory = createMemoryTransport();
  const attempts: AppendRequest[] = [];
  const stuck = new Set<() => void>();
  const transport: FaultTransport = {
    mode: 'up',
    attempts,
    release: () => {
      for (const resolve of stuck) resolve();
      stuck.clear();
    },
    kind: 'memory',
    get connected() {
      return transport.mode === 'up';
    },
    append: async (request: AppendRequest, options: CallOptions): Promise<AppendResult> => {
      attempts.push(request);
      const { mode } = transport;
      if (mode === 'down') throw new TransportError('ESPER_OONA_DISCONNECTED', 'cut', { retryable: true });
      if (mode === 'refusing') throw new TransportError('ESPER_OONA_AUTH', 'not allowed');
      if (mode === 'stuck') {
        await new Promise<void>((resolve) => stuck.add(resolve));
        throw new TransportError('ESPER_OONA_TIMEOUT', 'stuck', { retryable: true });
      }
      const result = await memory.append(request, options);
      if (mode === 'lost-reply')
        throw new TransportError('ESPER_OONA_TIMEOUT', 'no reply', { retryable: true });
      return result;
    },
    ensureGroup: (...call) => memory.ensureGroup(...call),
    openReader: () => memory.openReader(),
    acknowledge: (...call) => memory.acknowledge(...call),
    groups: (stream, options) => memory.groups(stream, options),
    removeGroup: (...call) => memory.removeGroup(...call),
    acknowledgeOwned: (...call) => memory.acknowledgeOwned(...call),
    redeliver: (...call) => memory.redeliver(...call),
    extendLease: (...call) => memory.extendLease(...call),
    claim: (...call) => memory.claim(...call),
    deadLetter: (...call) => memory.deadLetter(...call),
    storeLetter: (...call) => memory.storeLetter(...call),
    ownPending: (...call) => memory.ownPending(...call),
    ownersOf: (...call) => memory.ownersOf(...call),
    giveBack: (...call) => memory.giveBack(...call),
    reserve: (...call) => memory.reserve(...call),
    acknowledgeHandled: (...call) => memory.acknowledgeHandled(...call),
    depth: (...call) => memory.depth(...call),
    trim: (...call) => memory.trim(...call),
    consumers: (...call) => memory.consumers(...call),
    removeConsumer: (...call) => memory.removeConsumer(...call),
    range: (...call) => memory.range(...call),
    remove: (...call) => memory.remove(...call),
    timeMs: (options) => memory.timeMs(options),
    ping: (options) => memory.ping(options),
    close: () => memory.close(),
  };
  return transport;
}
