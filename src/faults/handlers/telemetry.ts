import { ErrorSeverity, type ErrorEvent as WireErrorEvent } from '../../leyline/messages.ts';
import type { ErrorHandler } from '../error-handler.ts';
import { toErrorMessage } from '../error-wire.ts';

export interface TelemetryHandlerParts {
  /**
   * Publishes one event, e.g. on the bus. Resolves with false, or rejects, when it was not published; that is not tried
   * again here: whoever publishes knows best whether that makes sense.
   */
  readonly publish: (message: WireErrorEvent, signal: AbortSignal) => Promise<unknown>;
  /** Default: WARNING. */
  readonly minSeverity?: ErrorSeverity;
}

export interface TelemetryHandlerSnapshot {
  readonly published: number;
  readonly unpublished: number;
}

export interface TelemetryHandler extends ErrorHandler {
  snapshot(): TelemetryHandlerSnapshot;
}

/** Events as Leyline messages to whoever carries them; what could not be published is counted, and told nowhere else. */
export function telemetryHandler({
  publish,
  minSeverity = ErrorSeverity.ERROR_SEVERITY_WARNING,
}: TelemetryHandlerParts): TelemetryHandler {
  let published = 0;
  let unpublished = 0;
  return Object.freeze({
    name: 'telemetry',
    minSeverity,
    handle: async (event, signal) => {
      let isPublished = false;
      try {
        isPublished = (await publish(toErrorMessage(event), signal)) !== false;
      } finally {
        if (isPublished) published += 1;
        else unpublished += 1;
      }
    },
    snapshot: () => Object.freeze({ published, unpublished }),
  } satisfies TelemetryHandler);
}
