/**
 * What the publisher tells the bus's observability (consumers: consumer/observer.ts), and the roles of streams by which
 * it is counted. An observer is called on the hot path: it stores numbers, allocates nothing, never throws and never
 * waits.
 */
import type { StreamNames } from '../streams.ts';
import type { WorkPublishResult } from '../work-types.ts';

/** A stream by what it is for; its name is a setting. */
export type StreamRole = keyof StreamNames;

/** In the order in which counters are kept and told. */
export const STREAM_ROLES: readonly StreamRole[] = Object.freeze([
  'normal',
  'emergency',
  'telemetry',
  'policy',
  'kernelRequests',
  'kernelReady',
  'kernelErrors',
  'deadLetter',
]);

/** Positions in STREAM_ROLES. */
export const ROLE_INDEX: Readonly<Record<StreamRole, number>> = Object.freeze(
  Object.fromEntries(STREAM_ROLES.map((role, at) => [role, at])) as Record<StreamRole, number>,
);

/** Roles as metric names spell them: `queue_depth_kernel_requests`. */
export const ROLE_NAMES: Readonly<Record<StreamRole, string>> = Object.freeze({
  normal: 'normal',
  emergency: 'emergency',
  telemetry: 'telemetry',
  policy: 'policy',
  kernelRequests: 'kernel_requests',
  kernelReady: 'kernel_ready',
  kernelErrors: 'kernel_errors',
  deadLetter: 'dead_letter',
});

/** What the observer reads of a publish; results of emergency publishes fit as they are. */
export interface EndedPublish {
  /** 'outbox_dropped': it waited in this process, and will not be sent. That is no answer of the engine's. */
  readonly outcome: WorkPublishResult['outcome'] | 'outbox_dropped';
  /** Of one that had waited: from when it was sent. */
  readonly latencyMs: number;
  readonly depthBefore?: number;
  readonly depthAfter?: number;
}

export interface PublishObserver {
  /**
   * Once for each publish that ended. `role`: the stream it was meant for, also when it was rerouted. One that ended
   * as 'deferred' ends a second time, when what it waited for has happened.
   */
  publishEnded(role: StreamRole, result: EndedPublish): void;
}

/** For a publisher that nobody observes. */
export const silentPublishObserver: PublishObserver = Object.freeze({ publishEnded: () => undefined });
