import type { BusPolicy } from './bus-options.ts';

/** Why an event that came to a subscription was not delivered. */
export type DropReason =
  /** No room: the new one went. */
  | 'newest'
  /** No room: it was the oldest. */
  | 'oldest'
  /** No room: the publisher would have waited, but for dropSlow. */
  | 'slow'
  /** Too many calls of the handler never ended. */
  | 'stuck'
  /** The handler threw or rejected. */
  | 'failed'
  /** The handler took too long. */
  | 'timedOut'
  /** It was to be acknowledged, and whoever waited for that does not any more. */
  | 'cancelled'
  /** The subscription ended before it was delivered. */
  | 'closed';

export type DropCounts = Readonly<Record<DropReason, number>>;

/** `received = delivered + dropped + queued`, at any moment. */
export interface SubscriptionStats {
  readonly name: string;
  /** Came in; publishers that still wait for room have not. */
  readonly received: number;
  /** The handler took them. */
  readonly delivered: number;
  /** The sum of `droppedFor`. */
  readonly dropped: number;
  readonly droppedFor: DropCounts;
  /** In the buffer or in the handler's hands. */
  readonly queued: number;
  /** Of `queued`: in the handler's hands. */
  readonly underWay: number;
  /** Refused to publishers, who were told: no room to wait, or nobody to acknowledge. Not received. */
  readonly refused: number;
  /** Publishers that wait for room. */
  readonly waiting: number;
  /** Of `queued`, as sizeOf tells them. */
  readonly bytes: number;
  /** Handler calls that were given up and still run. */
  readonly abandoned: number;
  readonly saturated: boolean;
  readonly policy: BusPolicy;
  readonly bufferSize: number;
  readonly maxBytes: number;
  readonly dropSlow: boolean;
}

export function noDrops(): Record<DropReason, number> {
  return {
    ...{ newest: 0, oldest: 0, slow: 0, stuck: 0 },
    ...{ failed: 0, timedOut: 0, cancelled: 0, closed: 0 },
  };
}
