import { CircuitBreaker } from '../../core/circuit-breaker.ts';
import { errorCode } from '../../core/errors.ts';
import { isTransportError } from '../errors.ts';
import type { ConsumerContext } from './context.ts';

/** What the engine answered, or what was our own doing: it is there. */
const NOT_FAILURES: ReadonlySet<string> = new Set([
  'ESPER_OONA_ABORTED',
  'ESPER_OONA_CLOSED',
  'ESPER_OONA_NO_GROUP',
  'ESPER_OONA_WRONG_TYPE',
]);

const OPENED = 'oona.consume.breaker_opened_total';

/**
 * Of one consumer's reading, apart from that of publishing: an engine that takes no appends may still hand out entries.
 * Handlers are not seen here at all. Between the failures before it opens the read loop backs off; it is never open for
 * longer than that loop would wait at most, so that a backlog is not left lying.
 */
export function createReadBreaker({ parts, options }: ConsumerContext): CircuitBreaker {
  const { clock, logger, metrics } = parts;
  const { stream, group, consumer } = options;
  const name = 'oona consume';
  const isFailure = (error: unknown): boolean =>
    isTransportError(error) && !NOT_FAILURES.has(errorCode(error) ?? '');
  const breaker = new CircuitBreaker(
    { name, clock, logger, isFailure },
    {
      consecutiveFailures: 5,
      consecutiveSpanMs: 500,
      openBaseMs: 500,
      openCapMs: 2000,
      permitTimeoutMs: 600_000,
    },
  );
  breaker.onChange(({ from, to, openMs }) => {
    if (to === 'open') metrics.increment(OPENED);
    logger.warn({ stream, group, consumer, from, to, openMs }, `${name}: breaker ${to}`);
  });
  return breaker;
}
