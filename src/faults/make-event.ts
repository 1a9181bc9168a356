/** From a report to the frozen event that listeners get. */
import { ErrorSeverity } from '../leyline/messages.ts';
import { contextText, cutText } from './context-text.ts';
import { type ErrorEvent, type ErrorReport, errorCodeEntry, isErrorEventType } from './error-event.ts';
import { textOf } from './text-of.ts';

const MAX_MESSAGE_LENGTH = 2048;
const MAX_STACK_LENGTH = 8192;
const MAX_CAUSES = 4;

const LOWEST = ErrorSeverity.ERROR_SEVERITY_DEBUG;
const HIGHEST = ErrorSeverity.ERROR_SEVERITY_CRITICAL;

/** A report with a severity that does not exist is an error all the same. */
export function severityOf({ severity }: ErrorReport): ErrorSeverity {
  // Bit by bit: this is on the path of every report, and 2.5 is no index.
  return (severity | 0) === severity && severity >= LOWEST && severity <= HIGHEST
    ? severity
    : ErrorSeverity.ERROR_SEVERITY_ERROR;
}

export function isRecoverable({ recoverable }: ErrorReport, severity: ErrorSeverity): boolean {
  return typeof recoverable === 'boolean' ? recoverable : severity < HIGHEST;
}

/** What the bus knows of the event already. */
export interface EventPlace {
  readonly id: string;
  readonly code: string;
  readonly component: string;
  readonly severity: ErrorSeverity;
  readonly recoverable: boolean;
  readonly occurredAtMs: number;
}

/** Runs getters and the like of the report. Never throws: of a report that cannot be read the rest is told. */
export function makeEvent(report: ErrorReport, place: EventPlace): ErrorEvent {
  const { id, severity, code, component, recoverable, occurredAtMs } = place;
  const { message, error, context, type } = read(report);
  return Object.freeze({
    id,
    severity,
    code,
    // Any other would be one more counter's name in each database of metrics.
    type: isErrorEventType(type) ? type : errorCodeEntry(code).type,
    message: cutText(typeof message === 'string' ? message : textOf(message), MAX_MESSAGE_LENGTH),
    component,
    occurredAtMs,
    context: contextText(context),
    stackTrace: error === undefined ? '' : stackText(error),
    recoverable,
    count: 1,
  });
}

function read(report: ErrorReport): Pick<ErrorReport, 'message' | 'error' | 'context' | 'type'> {
  try {
    const { message, error, context, type } = report;
    return { message, error, ...(context && { context }), ...(type && { type }) };
  } catch (error) {
    return { message: `(the report cannot be read: ${textOf(error)})`, error };
  }
}

/** The stack of an error and of its causes; of anything else that was thrown, the text. */
function stackText(error: unknown): string {
  const parts: string[] = [];
  let current: unknown = error;
  try {
    for (let at = 0; at < MAX_CAUSES && current !== undefined; at++) {
      parts.push(current instanceof Error ? (current.stack ?? String(current)) : String(current));
      current = current instanceof Error ? current.cause : undefined;
    }
  } catch {
    parts.push('(its stack cannot be read)');
  }
  return cutText(parts.join('\ncaused by: '), MAX_STACK_LENGTH);
}
