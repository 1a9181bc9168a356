import type { Clock } from '../../core/clock.ts';
import { HOST_GROUP_PREFIX } from '../streams.ts';
import { compareEntryIds } from './entries.ts';
import { type StoredEntry, sizeOf, toRaw } from './memory-entry.ts';
import { MemoryGroup, type PendingEntry } from './memory-group.ts';
import { type GroupInfo, type ReadRequest, type StreamEntry, UNREAD_TTL_FACTOR } from './transport.ts';
import type {
  ClaimPage,
  ClaimRequest,
  DeadLetterFields,
  GroupDepth,
  RangeRequest,
  RawEntry,
  StreamDepth,
  TrimRequest,
  TrimResult,
} from './work.ts';

const NOTHING = new Uint8Array(0);
/** As the engine of Redis does it: what goes beyond a bound in bytes goes down to this part of it. */
const KEPT = 31 / 32;

/** One stream of the memory engine: entries, groups, dedup ids. No I/O, no clock of its own. */
export class MemoryStream {
  readonly name: string;
  /** In order of ids. */
  readonly #entries: StoredEntry[] = [];
  readonly #groups = new Map<string, MemoryGroup>();
  readonly #dedup = new Map<string, { readonly entryId: string; readonly expiresAtMs: number }>();
  readonly #waiters = new Set<() => void>();
  #lastMs = 0;
  #lastSeq = 0;
  /** Of the entries' names and values. */
  #bytes = 0;

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
  append(payload: Uint8Array, signature: string, nowMs: number, fields?: DeadLetterFields): string {
    const ms = Math.max(Math.floor(nowMs), this.#lastMs);
    this.#lastSeq = ms === this.#lastMs ? this.#lastSeq + 1 : 0;
    this.#lastMs = ms;
    const id = `${ms}-${this.#lastSeq}`;
    const entry = { id, payload: payload.slice(), signature, fields };
    this.#entries.push(entry);
    this.#bytes += sizeOf(entry);
    this.wakeReaders();
    return id;
  }

  /** Too old, and acknowledged by every group that is no host's, or older than those may pin; see AppendRequest. */
  trimExpired(ttlMs: number, nowMs: number): TrimResult {
    const pinning = [...this.#groups].flatMap(([name, group]) =>
      name.startsWith(HOST_GROUP_PREFIX) ? [] : [group],
    );
    const tooOld = this.#indexFrom(idOfAge(ttlMs, nowMs));
    const farTooOld = this.#indexFrom(idOfAge(ttlMs * UNREAD_TTL_FACTOR, nowMs));
    const needed = pinning.map((group) => this.#firstNeededIndex(group));
    const cut = this.#cut(Math.max(farTooOld, Math.min(tooOld, ...needed))).map(({ id }) => id);
    const unread = pinning.map((group) => countUnread(group, cut));
    return { removed: cut.length, cutUnread: Math.max(0, ...unread) };
  }

  /** Returns how many went: the oldest beyond `maxLength`. */
  trimTo(maxLength: number): number {
    return this.#cut(this.#entries.length - maxLength).length;
  }

  /** Returns how many went: the oldest, the last one never. */
  trimToBytes(maxBytes: number): number {
    if (this.#bytes <= maxBytes) return 0;
    let [count, left] = [0, this.#bytes];
    for (const entry of this.#entries.slice(0, -1)) {
      if (left <= maxBytes * KEPT) break;
      left -= sizeOf(entry);
      count += 1;
    }
    return this.#cut(count).length;
  }

  /** Acknowledged by every group and too old, then whatever is beyond the cap. */
  trim({ ttlMs, maxLength }: TrimRequest, nowMs: number): TrimResult {
    let removed = 0;
    if (ttlMs > 0) {
      const needed = [...this.#groups.values()].map((group) => this.#firstNeededIndex(group));
      const tooOld = this.#indexFrom(idOfAge(ttlMs, nowMs));
      removed = this.#cut(Math.min(tooOld, ...needed)).length;
    }
    const excess = maxLength > 0 ? Math.max(0, this.#entries.length - maxLength) : 0;
    if (excess === 0) return { removed, cutUnread: 0 };
    const cut = this.#entries.slice(0, excess).map(({ id }) => id);
    const unread = [...this.#groups.values()].map((group) => countUnread(group, cut));
    this.trimTo(maxLength);
    return { removed: removed + excess, cutUnread: Math.max(0, ...unread) };
  }

  ensureGroup(name: string, startId: string): void {
    if (this.#groups.has(name)) return;
    this.#groups.set(name, new MemoryGroup(startId === '$' ? `${this.#lastMs}-${this.#lastSeq}` : startId));
  }

  removeGroup(name: string): void {
    this.#groups.delete(name);
    this.wakeReaders();
  }

  group(name: string): MemoryGroup | undefined {
    return this.#groups.get(name);
  }

  groups(): GroupInfo[] {
    return [...this.#groups].map(([group, { pending, lastDeliveredId }]) => ({
      group,
      pending,
      lastDeliveredId,
    }));
  }

  /** Exact: the engine counts its own entries. */
  depth(): StreamDepth {
    const { length } = this.#entries;
    const groups = [...this.#groups].map(
      ([group, { pending, lastDeliveredId }]): GroupDepth => ({
        group,
        lag: length - this.#indexAfter(lastDeliveredId),
        lagIsLowerBound: false,
        pending,
      }),
    );
    return { length, depth: Math.max(0, ...groups.map(({ lag, pending }) => lag + pending)), groups };
  }

  read(group: MemoryGroup, request: ReadRequest, nowMs: number): StreamEntry[] {
    const { consumer, count, afterId } = request;
    group.see(consumer, nowMs);
    if (request.which === 'pending') {
      return group
        .ownAfter(consumer, afterId, count)
        .map(([id, pending]) => this.#deliverAgain(id, pending, nowMs));
    }
    const from = this.#indexAfter(group.lastDeliveredId);
    return this.#entries.slice(from, from + count).map((entry) => {
      group.handOut(entry.id, consumer, nowMs);
      return this.#deliver(entry, 1);
    });
  }

  redeliver(group: MemoryGroup, consumer: string, entryIds: readonly string[], nowMs: number): StreamEntry[] {
    return entryIds.flatMap((id) => {
      const pending = group.owned(id, consumer);
      return pending === undefined ? [] : [this.#deliverAgain(id, pending, nowMs)];
    });
  }

  claim(group: MemoryGroup, request: ClaimRequest, nowMs: number): ClaimPage {
    group.see(request.consumer, nowMs);
    const isStored = (id: string): boolean => this.#find(id) !== undefined;
    const { claimed, cursor, lostIds } = group.claim(request, nowMs, isStored);
    const entries = claimed.flatMap(({ id, deliveryCount }) => {
      const entry = this.#find(id);
      return entry === undefined ? [] : [this.#deliver(entry, deliveryCount)];
    });
    return { entries, cursor, lostIds };
  }

  range({ after, count, newestFirst }: RangeRequest): RawEntry[] {
    if (newestFirst) {
      const end = after === '' ? this.#entries.length : this.#indexFrom(after);
      return this.#entries
        .slice(Math.max(0, end - count), end)
        .reverse()
        .map(toRaw);
    }
    const from = after === '' ? 0 : this.#indexAfter(after);
    return this.#entries.slice(from, from + count).map(toRaw);
  }

  /** Returns how many were there. */
  remove(entryIds: readonly string[]): number {
    let removed = 0;
    for (const id of entryIds) {
      const at = this.#indexFrom(id);
      if (this.#entries[at]?.id !== id) continue;
      this.#forget(this.#entries.splice(at, 1));
      removed += 1;
    }
    return removed;
  }

  /** Returns when something came, or there may be a reason to stop waiting for it. */
  async untilWoken(clock: Clock, forMs: number, signals: readonly AbortSignal[]): Promise<void> {
    const woken = new AbortController();
    const wake = (): void => woken.abort();
    this.#waiters.add(wake);
    for (const signal of signals) signal.addEventListener('abort', wake, { once: true });
    try {
      await clock.sleep(forMs, woken.signal);
    } catch (error) {
      if (!woken.signal.aborted) throw error;
    } finally {
      this.#waiters.delete(wake);
      for (const signal of signals) signal.removeEventListener('abort', wake);
    }
  }

  wakeReaders(): void {
    for (const waiter of [...this.#waiters]) waiter();
  }

  #deliver(entry: StoredEntry, deliveryCount: number): StreamEntry {
    const { id: entryId, payload, signature } = entry;
    return { stream: this.name, entryId, payload, signature, deliveryCount };
  }

  #deliverAgain(id: string, pending: PendingEntry, nowMs: number): StreamEntry {
    pending.deliveryCount += 1;
    pending.touchedAtMs = nowMs;
    const entry = this.#find(id);
    if (entry !== undefined) return this.#deliver(entry, pending.deliveryCount);
    const nothing = { payload: NOTHING, signature: '' };
    return { stream: this.name, entryId: id, ...nothing, deliveryCount: pending.deliveryCount, lost: true };
  }

  /** The oldest `count`. */
  #cut(count: number): readonly StoredEntry[] {
    return this.#forget(this.#entries.splice(0, Math.max(0, count)));
  }

  #forget(entries: readonly StoredEntry[]): readonly StoredEntry[] {
    for (const entry of entries) this.#bytes -= sizeOf(entry);
    return entries;
  }

  #firstNeededIndex({ lastDeliveredId, oldestPendingId }: MemoryGroup): number {
    const unread = this.#indexAfter(lastDeliveredId);
    return oldestPendingId === undefined ? unread : Math.min(unread, this.#indexFrom(oldestPendingId));
  }

  #find(id: string): StoredEntry | undefined {
    const entry = this.#entries[this.#indexFrom(id)];
    return entry?.id === id ? entry : undefined;
  }

  /** Of the first entry at or after `id`. */
  #indexFrom(id: string): number {
    return this.#search((order) => order >= 0, id);
  }

  /** Of the first entry after `id`. */
  #indexAfter(id: string): number {
    return this.#search((order) => order > 0, id);
  }

  #search(isBeyond: (order: number) => boolean, id: string): number {
    let [low, high] = [0, this.#entries.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBeyond(compareEntryIds(this.#entries[middle]?.id ?? '', id))) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

function idOfAge(ageMs: number, nowMs: number): string {
  return `${Math.max(0, Math.floor(nowMs - ageMs))}-0`;
}

function countUnread(group: MemoryGroup, ids: readonly string[]): number {
  const pending = new Set(group.pendingIds());
  return ids.filter((id) => pending.has(id) || compareEntryIds(id, group.lastDeliveredId) > 0).length;
}
