import type { CircuitBreaker } from '../../core/circuit-breaker.ts';
import type { CircuitBreakerOptions } from '../../core/circuit-breaker-options.ts';
import { ConservativeMode } from './conservative-mode.ts';
import { EngineAnswers } from './engine-answers.ts';
import { ErrorEvents, type PublishErrorEvent } from './error-events.ts';
import { LoadHold } from './load-hold.ts';
import type { ConservativeModeOptions, PublishingOptions } from './options.ts';
import { createPublishBreaker } from './publish-breaker.ts';
import type { WorkPublisher, WorkPublisherParts } from './types.ts';
import { createWorkPublisher } from './work-publisher.ts';

export interface PublishingTuning {
  readonly publish?: PublishingOptions;
  readonly breaker?: CircuitBreakerOptions;
  readonly mode?: ConservativeModeOptions;
}

export interface PublishingParts extends Omit<WorkPublisherParts, 'breaker' | 'mode' | 'answers' | 'events'> {
  readonly onErrorEvent?: ((event: PublishErrorEvent) => void) | undefined;
  /** An engine that mostly answers within this is well, milliseconds. */
  readonly targetMs: number;
}

/** Publishing of a bus, wired: an open breaker turns conservative mode on, and so does a bad engine under an alert. */
export interface Publishing {
  readonly publisher: WorkPublisher;
  /** Emergencies pass it with probe() and return the permit with their outcome. */
  readonly breaker: CircuitBreaker;
  readonly mode: ConservativeMode;
  /** Of the whole bus. */
  readonly errorEvents: ErrorEvents;
  /** To be told of the alerts that less load would end. */
  readonly load: LoadHold;
  /** Idempotent. */
  close(): Promise<void>;
}

/** Throws OptionError. */
export function createPublishing(parts: PublishingParts, tuning: PublishingTuning = {}): Publishing {
  const breaker = createPublishBreaker(parts, tuning.breaker);
  const mode = new ConservativeMode(parts, tuning.mode);
  breaker.onChange(({ to }) => {
    if (to === 'closed') mode.release('breaker');
    else mode.hold('breaker');
  });
  const answers = new EngineAnswers(parts.targetMs);
  const events = new ErrorEvents(parts.onErrorEvent, parts.clock, parts.logger);
  mode.onChange((active, { reasons, lastedMs }) => {
    const context = { reasons: reasons.join(','), lastedMs: String(Math.round(lastedMs)) };
    events.modeChanged(active ? 'on' : 'off', context);
  });
  const publisher = createWorkPublisher({ ...parts, breaker, mode, answers, events }, tuning.publish);
  const { quietMs } = mode;
  const load = new LoadHold({ ...parts, mode, answers, quietMs, probe: () => publisher.probe() });
  const close = async (): Promise<void> => {
    load.close();
    await publisher.close();
    mode.close();
  };
  return Object.freeze({ publisher, breaker, mode, errorEvents: events, load, close });
}
