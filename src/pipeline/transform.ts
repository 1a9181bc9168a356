import type { Clock } from '../core/clock.ts';
import { errorMessage, OptionError } from '../core/errors.ts';
import type { ErrorSink } from '../faults/error-event.ts';
import { ErrorSeverity } from '../leyline/messages.ts';
import { BoundedCalls } from './bounded-calls.ts';
import type { Bus, Subscription } from './bus.ts';
import { PipelineError } from './errors.ts';
import type { Delivery } from './handler-calls.ts';

/**
 * Makes of an event what is emitted, or undefined for nothing (the event counts as delivered). Called one event at a
 * time and in order; one that throws, or takes too long, fails this event alone.
 */
export type Transform<In, Out> = (
  event: In,
  signal: AbortSignal,
) => Out | undefined | Promise<Out | undefined>;

export interface TransformStageParts<In, Out> {
  /** In this order, each with what the one before made. */
  readonly transforms: readonly Transform<unknown, unknown>[];
  readonly internal: Bus<In>;
  readonly external: Bus<Out>;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly errors: ErrorSink;
}

const MAX_ABANDONED = 16;
const COMPONENT = 'transforms';

export interface TransformStage {
  readonly subscription: Subscription;
  /** Aborts what runs. */
  stop(): void;
}

/** Carries events, and who waits for their delivery, from the internal bus to the external one. Throws OptionError. */
export function createTransformStage<In, Out>(parts: TransformStageParts<In, Out>): TransformStage {
  const { transforms, internal, external, timeoutMs, clock, errors } = parts;
  if (!transforms.every((transform) => typeof transform === 'function')) {
    throw new OptionError('engine: transforms must be functions');
  }
  const calls = new BoundedCalls({ what: COMPONENT, clock, timeoutMs, maxAbandoned: MAX_ABANDONED });

  const apply = async (event: In, signal: AbortSignal): Promise<Out | undefined> => {
    let made: unknown = event;
    for (const transform of transforms) {
      made = await transform(made, signal);
      if (made === undefined) return undefined;
      signal.throwIfAborted();
    }
    return made as Out;
  };

  // It waits for room without a signal: the end of the external bus ends it, and a cancelled acknowledgement.
  const pass = (made: Out | undefined, { acknowledgement }: Delivery): Promise<void> | undefined => {
    if (made === undefined) return undefined;
    return external.publish(made, acknowledgement === undefined ? undefined : { acknowledgement });
  };

  const handle = (event: In, delivery: Delivery): Promise<void> | undefined => {
    if (transforms.length === 0) return pass(event as unknown as Out, delivery);
    return calls.run((signal) => apply(event, signal)).then((made) => pass(made, delivery));
  };

  const subscription = internal.subscribe(handle, {
    name: COMPONENT,
    // Only the transforms have a time-out: waiting for room is back-pressure, and drops nothing.
    handlerTimeoutMs: 0,
    onFailure: (error) => {
      // Whoever waits for the delivery was told, and the queue that refused it counts it.
      if (error instanceof PipelineError && error.code === 'ESPER_PIPELINE_REFUSED') return;
      errors.emit({
        severity: ErrorSeverity.ERROR_SEVERITY_ERROR,
        ...{ code: 'TRANSFORM_FAILED', type: 'pipeline.engine.transform_failed', component: COMPONENT },
        ...{ message: `an event was not passed on: ${errorMessage(error)}`, error, recoverable: true },
      });
    },
  });
  return { subscription, stop: () => calls.stop() };
}
