import type { GroupInfo, ReadRequest, StreamEntry } from './transport.ts';

interface StoredEntry {
  readonly id: string;
  readonly payload: Uint8Array;
  readonly signature: string;
}

interface PendingEntry {
  readonly consumer: string;
  deliveryCount: number;
}

interface Group {
  lastDeliveredId: string;
  /** In order of entry ids, because they are handed out in that order. */
  readonly pending: Map<string, PendingEntry>;
}

/** Order of two entry ids `<ms>-<seq>`; a bare `<ms>` means `<ms>-0`. Negative when a comes first. */
export function compareEntryIds(a: string, b: string): number {
  const [aMs = '0', aSeq = '0'] = a.split('-');
  const [bMs = '0', bSeq = '0'] = b.split('-');
  return Number(aMs) - Number(bMs) || Number(aSeq) - Number(bSeq);
}

/** One stream of the memory engine: entries, groups, pending lists and dedup ids. No I/O, no time of its own. */
export class MemoryStream {
  readonly name: string;
  readonly #entries: StoredEntry[] = [];
  readonly #groups = new Map<string, Group>();
  readonly #dedup = new Map<string, { readonly entryId: string; readonly expiresAtMs: number }>();
  readonly #waiters = new Set<() => void>();
  #lastMs = 0;
  #lastSeq = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** Entry id under which `dedupId` is stored already, or undefined. */
  findDuplicate(dedupId: string, nowMs: number): string | undefined {
    for (const [id, { expiresAtMs }] of this.#dedup) {
      if (expiresAtMs > nowMs) break;
      this.#dedup.delete(id);
    }
    const found = this.#dedup.get(dedupId);
    return found !== undefined && found.expiresAtMs > nowMs ? found.entryId : undefined;
  }

  remember(dedupId: string, entryId: string, expiresAtMs: number): void {
    this.#dedup.delete(dedupId);
    this.#dedup.set(dedupId, { entryId, expiresAtMs });
  }

  /** Ids grow even when the clock steps back, as those of Redis do. */
  append(payload: Uint8Array, signature: string, nowMs: number): string {
    const ms = Math.max(Math.floor(nowMs), this.#lastMs);
    this.#lastSeq = ms === this.#lastMs ? this.#lastSeq + 1 : 0;
    this.#lastMs = ms;
    const id = `${ms}-${this.#lastSeq}`;
    this.#entries.push({ id, payload: payload.slice(), signature });
    this.wakeReaders();
    return id;
  }

  trimBefore(oldestMs: number): void {
    const oldestId = `${Math.floor(oldestMs)}-0`;
    const keepFrom = this.#entries.findIndex(({ id }) => compareEntryIds(id, oldestId) >= 0);
    this.#entries.splice(0, keepFrom === -1 ? this.#entries.length : keepFrom);
  }

  ensureGroup(name: string, startId: string): void {
    if (this.#groups.has(name)) return;
    const lastDeliveredId = startId === '$' ? `${this.#lastMs}-${this.#lastSeq}` : startId;
    this.#groups.set(name, { lastDeliveredId, pending: new Map() });
  }

  removeGroup(name: string): void {
    this.#groups.delete(name);
    this.wakeReaders();
  }

  groups(): GroupInfo[] {
    return [...this.#groups].map(([group, { pending, lastDeliveredId }]) => ({
      group,
      pending: pending.size,
      lastDeliveredId,
    }));
  }

  /** Undefined when the group does not exist. */
  read(request: ReadRequest): StreamEntry[] | undefined {
    const group = this.#groups.get(request.group);
    if (group === undefined) return undefined;
    return request.which === 'new' ? this.#readNew(group, request) : this.#readPending(group, request);
  }

  acknowledge(group: string, entryIds: readonly string[]): number {
    const pending = this.#groups.get(group)?.pending;
    return pending === undefined ? 0 : entryIds.filter((id) => pending.delete(id)).length;
  }

  onWake(waiter: () => void): () => void {
    this.#waiters.add(waiter);
    return () => this.#waiters.delete(waiter);
  }

  wakeReaders(): void {
    for (const waiter of [...this.#waiters]) waiter();
  }

  #readNew(group: Group, { consumer, count }: ReadRequest): StreamEntry[] {
    const from = this.#entries.findIndex(({ id }) => compareEntryIds(id, group.lastDeliveredId) > 0);
    if (from === -1) return [];
    return this.#entries.slice(from, from + count).map((entry) => {
      group.pending.set(entry.id, { consumer, deliveryCount: 1 });
      group.lastDeliveredId = entry.id;
      return this.#deliver(entry, 1);
    });
  }

  #readPending(group: Group, { consumer, count, afterId }: ReadRequest): StreamEntry[] {
    const own = [...group.pending].filter(
      ([id, pending]) => pending.consumer === consumer && compareEntryIds(id, afterId) > 0,
    );
    return own.slice(0, count).map(([id, pending]) => {
      pending.deliveryCount += 1;
      const entry = this.#entries.find((stored) => stored.id === id);
      if (entry !== undefined) return this.#deliver(entry, pending.deliveryCount);
      const nothing = { payload: new Uint8Array(0), signature: '' };
      return { stream: this.name, entryId: id, ...nothing, deliveryCount: pending.deliveryCount, lost: true };
    });
  }

  #deliver(entry: StoredEntry, deliveryCount: number): StreamEntry {
    const { id: entryId, payload, signature } = entry;
    return { stream: this.name, entryId, payload, signature, deliveryCount };
  }
}
