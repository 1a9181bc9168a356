import { silentLogger } from '../../src/core/logger.ts';
import { Metrics } from '../../src/core/metrics.ts';
import { CircuitBreakerState, type TelemetryPacket } from '../../src/leyline/messages.ts';
import { createObservability, type ObservabilityParts } from '../../src/oona/observe/observability.ts';
import type { ObserveOptions } from '../../src/oona/observe/options.ts';
import { DEFAULT_STREAMS } from '../../src/oona/streams.ts';
import { createManualClock } from './manual-clock.ts';

const { CIRCUIT_STATE_CLOSED } = CircuitBreakerState;

/** Observability of a bus whose parts are what `state` says; packets end in `packets`. */
export function observeRig(options: ObserveOptions = {}, more: Partial<ObservabilityParts> = {}) {
  const clock = createManualClock();
  const state = {
    connected: true,
    breakers: { publish: CIRCUIT_STATE_CLOSED, consume: CIRCUIT_STATE_CLOSED } as Record<
      string,
      CircuitBreakerState
    >,
    conservative: false,
    oldestPendingMs: undefined as number | undefined,
  };
  const packets: TelemetryPacket[] = [];
  const answer = { outcome: 'published' };
  const metrics = new Metrics();
  const observability = createObservability(
    {
      ...{ clock, logger: silentLogger, metrics, streams: DEFAULT_STREAMS, source: 'tolaria', hostId: 'h1' },
      health: {
        connected: () => state.connected,
        breakers: () => state.breakers,
        conservativeMode: () => state.conservative,
        oldestPendingMs: () => state.oldestPendingMs,
      },
      publish: async (packet) => {
        packets.push(packet);
        return answer;
      },
      ...more,
    },
    options,
  );
  return { clock, state, packets, answer, metrics, observability };
}
