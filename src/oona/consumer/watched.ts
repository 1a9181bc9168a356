import type { BreakerState } from '../../core/circuit-breaker.ts';
import { CircuitBreakerState } from '../../leyline/messages.ts';
import { LEYLINE_STATES } from '../publish/publish-breaker.ts';
import type { Consumer } from '../work-types.ts';

/** A consumer as the bus's health sees it. */
export interface WatchedConsumer extends Consumer {
  /** Of its read loop. */
  readonly breakerState: BreakerState;
  /** For how long it has had the undecided entry that it has had longest, milliseconds; 0 without any. */
  oldestPendingMs(): number;
}

/** The largest of them all, milliseconds; undefined without a consumer. */
export function oldestPendingOf(consumers: Iterable<WatchedConsumer>): number | undefined {
  let oldest: number | undefined;
  for (const consumer of consumers) oldest = Math.max(oldest ?? 0, consumer.oldestPendingMs());
  return oldest;
}

/** `{ consume: … }`, the worst of them all, as health names breakers; `{}` without a consumer. */
export function consumeBreakerOf(
  consumers: Iterable<WatchedConsumer>,
): Readonly<Record<string, CircuitBreakerState>> {
  const states = [...consumers].map(({ breakerState }) => LEYLINE_STATES[breakerState]);
  if (states.length === 0) return {};
  const { CIRCUIT_STATE_OPEN, CIRCUIT_STATE_HALF_OPEN, CIRCUIT_STATE_CLOSED } = CircuitBreakerState;
  const worst = [CIRCUIT_STATE_OPEN, CIRCUIT_STATE_HALF_OPEN].find((state) => states.includes(state));
  return { consume: worst ?? CIRCUIT_STATE_CLOSED };
}
