/**
 * The part of the transport contract for a replay guard that all consumers of a group share: which events the group has
 * handled, under which entry id, and which it is about to handle. Each group of a stream has its own, which stays when
 * the group is removed. Crash by crash: docs/decisions/0014-shared-replay-guard.md.
 */
import type { CallOptions } from './entries.ts';

export interface GuardedEvent {
  /** What tells the event from others; the engine keeps it. */
  readonly key: string;
  /** The entry that carries it. */
  readonly entryId: string;
}

export interface ReserveRequest {
  readonly stream: string;
  readonly group: string;
  /** How long reservations stay, milliseconds. */
  readonly windowMs: number;
  readonly events: readonly GuardedEvent[];
}

export interface HandledRequest extends ReserveRequest {
  readonly consumer: string;
}

/**
 * new: reserved for this entry, for as long as it is pending in the group, whoever has it · redelivery: the event was
 * handled under this entry id · replay: handled under another · busy: reserved for another entry that is still pending.
 */
export type Reservation = 'new' | 'redelivery' | 'replay' | 'busy';

export interface GuardTransport {
  /**
   * One answer for each event, in order, each after those before it. Where the engine has no room it rejects with
   * ESPER_OONA_OUT_OF_MEMORY: asked again, what it had reserved is new still.
   */
  reserve(request: ReserveRequest, options: CallOptions): Promise<readonly Reservation[]>;
  /**
   * Remembers each event as handled under its entry id, for `windowMs` from now on, and acknowledges, in the same step,
   * those of the entries that are still owned. Returns their ids. Whoever owns an entry by now, its event was handled:
   * that stays although the call rejects with ESPER_OONA_NO_GROUP.
   */
  acknowledgeHandled(request: HandledRequest, options: CallOptions): Promise<readonly string[]>;
}
