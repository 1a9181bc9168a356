import type { CircuitBreaker } from '../../core/circuit-breaker.ts';
import type { CircuitBreakerOptions } from '../../core/circuit-breaker-options.ts';
import { ConservativeMode } from './conservative-mode.ts';
import type { ConservativeModeOptions, PublishingOptions } from './options.ts';
import { createPublishBreaker } from './publish-breaker.ts';
import type { WorkPublisher, WorkPublisherParts } from './types.ts';
import { createWorkPublisher } from './work-publisher.ts';

export interface PublishingTuning {
  readonly publish?: PublishingOptions;
  readonly breaker?: CircuitBreakerOptions;
  readonly mode?: ConservativeModeOptions;
}

/** Publishing of a bus, wired: an open breaker turns conservative mode on. */
export interface Publishing {
  readonly publisher: WorkPublisher;
  /** Emergencies pass it with probe() and return the permit with their outcome. */
  readonly breaker: CircuitBreaker;
  readonly mode: ConservativeMode;
  /** Idempotent. */
  close(): Promise<void>;
}

/** Throws OptionError. */
export function createPublishing(
  parts: Omit<WorkPublisherParts, 'breaker' | 'mode'>,
  tuning: PublishingTuning = {},
): Publishing {
  const breaker = createPublishBreaker(parts, tuning.breaker);
  const mode = new ConservativeMode(parts, tuning.mode);
  breaker.onChange(({ to }) => {
    if (to === 'closed') mode.release('breaker');
    else mode.hold('breaker');
  });
  const publisher = createWorkPublisher({ ...parts, breaker, mode }, tuning.publish);
  const close = async (): Promise<void> => {
    await publisher.close();
    mode.close();
  };
  return Object.freeze({ publisher, breaker, mode, close });
}
