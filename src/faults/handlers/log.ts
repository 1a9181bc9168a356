import type { Logger } from '../../core/logger.ts';
import { ErrorSeverity } from '../../leyline/messages.ts';
import type { ErrorHandler } from '../error-handler.ts';

export interface LogHandlerParts {
  /** A pino instance fits as it is. */
  readonly logger: Logger;
  /** Default: INFO. */
  readonly minSeverity?: ErrorSeverity;
}

const LEVELS: readonly (keyof Logger)[] = Object.freeze(['error', 'debug', 'info', 'warn', 'error', 'error']);

/** One log line an event: at the level of its severity, CRITICAL at `error` with `critical: true`. */
export function logHandler({
  logger,
  minSeverity = ErrorSeverity.ERROR_SEVERITY_INFO,
}: LogHandlerParts): ErrorHandler {
  return Object.freeze({
    name: 'log',
    minSeverity,
    handle: ({ severity, message, stackTrace, context, ...event }) => {
      const fields = {
        ...event,
        ...(severity === ErrorSeverity.ERROR_SEVERITY_CRITICAL && { critical: true }),
        ...(stackTrace !== '' && { stackTrace }),
        context,
      };
      logger[LEVELS[severity] ?? 'error'](fields, `${event.component}: ${message}`);
    },
  } satisfies ErrorHandler);
}
