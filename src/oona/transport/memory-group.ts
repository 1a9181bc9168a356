import { TransportError } from '../errors.ts';
import { compareEntryIds } from './entries.ts';
import type { GiveBackRequest, OwnPendingRequest, PendingRow } from './pending.ts';
import type { ClaimRequest, ConsumerInfo } from './work.ts';

export interface PendingEntry {
  consumer: string;
  deliveryCount: number;
  /** Monotonic time at which it was handed out or kept last. */
  touchedAtMs: number;
}

export interface ClaimedIds {
  readonly claimed: readonly { readonly id: string; readonly deliveryCount: number }[];
  readonly cursor: string;
  readonly lostIds: readonly string[];
}

/** Pending entries looked at per page of a claim, times its count; Redis looks at as many. */
const SCAN_FACTOR = 10;

/** One consumer group of the memory engine: how far it is, who has what. */
export class MemoryGroup {
  lastDeliveredId: string;
  /** In order of entry ids, because they are handed out in that order. */
  readonly #pending = new Map<string, PendingEntry>();
  readonly #seenAtMs = new Map<string, number>();

  constructor(startId: string) {
    this.lastDeliveredId = startId;
  }

  get pending(): number {
    return this.#pending.size;
  }

  /** Undefined when nothing is pending. */
  get oldestPendingId(): string | undefined {
    return this.#pending.keys().next().value;
  }

  pendingIds(): IterableIterator<string> {
    return this.#pending.keys();
  }

  see(consumer: string, nowMs: number): void {
    this.#seenAtMs.set(consumer, nowMs);
  }

  handOut(id: string, consumer: string, nowMs: number): void {
    this.#pending.set(id, { consumer, deliveryCount: 1, touchedAtMs: nowMs });
    this.lastDeliveredId = id;
  }

  owned(id: string, consumer: string): PendingEntry | undefined {
    const pending = this.#pending.get(id);
    return pending?.consumer === consumer ? pending : undefined;
  }

  /** This consumer's own pending entries after `afterId`. */
  ownAfter(consumer: string, afterId: string, count: number): [string, PendingEntry][] {
    const own = [...this.#pending].filter(
      ([id, pending]) => pending.consumer === consumer && compareEntryIds(id, afterId) > 0,
    );
    return own.slice(0, count);
  }

  /** Idle time 0 for those that are owned; returns their ids. */
  touch(ids: readonly string[], consumer: string, nowMs: number): string[] {
    this.see(consumer, nowMs);
    return ids.filter((id) => {
      const pending = this.owned(id, consumer);
      if (pending !== undefined) pending.touchedAtMs = nowMs;
      return pending !== undefined;
    });
  }

  ownRows({ consumer, afterId, count }: OwnPendingRequest): PendingRow[] {
    const own = this.ownAfter(consumer, afterId, count);
    return own.map(([entryId, { deliveryCount }]) => ({ entryId, deliveryCount }));
  }

  ownersOf(ids: readonly string[]): Map<string, string> {
    const owners = ids.map((id) => [id, this.#pending.get(id)?.consumer] as const);
    return new Map(owners.filter((owner): owner is [string, string] => owner[1] !== undefined));
  }

  /** Returns the ids of those that are owned. */
  giveBack({ consumer, entries }: GiveBackRequest): string[] {
    return entries.flatMap(({ entryId, deliveryCount }) => {
      const pending = this.owned(entryId, consumer);
      if (pending === undefined) return [];
      Object.assign(pending, { deliveryCount, touchedAtMs: Number.NEGATIVE_INFINITY });
      return entryId;
    });
  }

  acknowledge(id: string): boolean {
    return this.#pending.delete(id);
  }

  /** As XAUTOCLAIM: what is no longer stored leaves the pending list, whatever its age. */
  claim(request: ClaimRequest, nowMs: number, isStored: (id: string) => boolean): ClaimedIds {
    const { consumer, minIdleMs, cursor, count } = request;
    const claimed: { id: string; deliveryCount: number }[] = [];
    const lostIds: string[] = [];
    let looks = count * SCAN_FACTOR;
    for (const [id, pending] of this.#pending) {
      if (compareEntryIds(id, cursor) < 0) continue;
      if (looks === 0 || claimed.length + lostIds.length === count) return { claimed, cursor: id, lostIds };
      looks -= 1;
      if (!isStored(id)) {
        this.#pending.delete(id);
        lostIds.push(id);
      } else if (nowMs - pending.touchedAtMs >= minIdleMs) {
        pending.consumer = consumer;
        pending.deliveryCount += 1;
        pending.touchedAtMs = nowMs;
        claimed.push({ id, deliveryCount: pending.deliveryCount });
      }
    }
    return { claimed, cursor: '0-0', lostIds };
  }

  consumers(nowMs: number): ConsumerInfo[] {
    const counts = new Map<string, number>();
    for (const { consumer } of this.#pending.values()) counts.set(consumer, (counts.get(consumer) ?? 0) + 1);
    return [...this.#seenAtMs].map(([consumer, seenAtMs]) => ({
      consumer,
      pending: counts.get(consumer) ?? 0,
      idleMs: Math.max(0, Math.floor(nowMs - seenAtMs)),
    }));
  }

  /** False when it has something pending or is not known. */
  removeConsumer(consumer: string): boolean {
    for (const pending of this.#pending.values()) if (pending.consumer === consumer) return false;
    return this.#seenAtMs.delete(consumer);
  }
}

export function noGroupError(what: string): TransportError {
  return new TransportError('ESPER_OONA_NO_GROUP', `${what}: no such group: ensureGroup creates it`);
}
