import type { Clock } from '../../core/clock.ts';
import { abortedError, closedError } from '../errors.ts';
import type { HandledRequest, Reservation, ReserveRequest } from './guard.ts';
import { type MemoryGroup, noGroupError } from './memory-group.ts';
import { MemoryGuards } from './memory-guard.ts';
import { MEMORY_TRANSPORT_OPTIONS, type MemoryTransportOptions } from './memory-options.ts';
import { MemoryStream } from './memory-stream.ts';
import type { GiveBackRequest, OwnPendingRequest, PendingRow } from './pending.ts';
import type {
  AppendRequest,
  AppendResult,
  BusTransport,
  CallOptions,
  GroupInfo,
  ReadRequest,
  StreamEntry,
  TransportReader,
} from './transport.ts';
import {
  type ClaimPage,
  type ClaimRequest,
  type ConsumerInfo,
  DEAD_LETTER_DEDUP_MS,
  type DeadLetterRequest,
  deadLetterOrigin,
  type OwnedEntries,
  type RangeRequest,
  type RawEntry,
  type StreamDepth,
  type TrimRequest,
  type TrimResult,
} from './work.ts';

/** Stands where the entry id of a message stands that was stored. */
const MOVED = '>';

class MemoryTransport implements BusTransport {
  readonly kind = 'memory';
  readonly #clock: Clock;
  readonly #streams = new Map<string, MemoryStream>();
  readonly #guards = new MemoryGuards();
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get connected(): boolean {
    return !this.#closed;
  }

  async append(request: AppendRequest, options: CallOptions): Promise<AppendResult> {
    this.#check(`append to ${request.stream}`, options.signal);
    const stream = this.#stream(request.stream);
    const nowMs = this.#clock.wallMs();
    const { dedupId, dedupWindowMs, ttlMs, depthLimit, moveBelow = 0 } = request;
    const first = dedupWindowMs > 0 ? stream.findDuplicate(dedupId, nowMs) : undefined;
    if (first === MOVED) return { outcome: 'moved', entryId: '' };
    if (first !== undefined) return { outcome: 'duplicate', entryId: first };
    const depthBefore = depthLimit === undefined ? undefined : stream.depth().depth;
    if (depthBefore !== undefined && depthBefore >= (depthLimit ?? 0)) {
      const isNoted = dedupWindowMs > 0 && depthBefore < moveBelow;
      if (isNoted) stream.remember(dedupId, MOVED, nowMs + dedupWindowMs);
      return { outcome: 'full', entryId: '', depthBefore };
    }
    if (ttlMs > 0) {
      const { cutUnread } = stream.trimExpired(ttlMs, nowMs);
      if (cutUnread > 0) request.onCutUnread?.(cutUnread, request.stream);
    }
    const entryId = stream.append(request.payload, request.signature, nowMs);
    if (dedupWindowMs > 0) stream.remember(dedupId, entryId, nowMs + dedupWindowMs);
    return { outcome: 'appended', entryId, ...(depthBefore !== undefined && { depthBefore }) };
  }

  async ensureGroup(stream: string, group: string, startId: string, options: CallOptions): Promise<void> {
    this.#check(`create group ${group} on ${stream}`, options.signal);
    this.#stream(stream).ensureGroup(group, startId);
  }

  openReader(): TransportReader {
    this.#check('open a reader', undefined);
    const closing = new AbortController();
    return {
      read: (request, signal) => this.#read(request, signal, closing.signal),
      close: async () => closing.abort(),
    };
  }

  async acknowledge(
    stream: string,
    group: string,
    entryIds: readonly string[],
    options: CallOptions,
  ): Promise<number> {
    this.#check(`acknowledge on ${stream}`, options.signal);
    const known = this.#stream(stream).group(group);
    return known === undefined ? 0 : entryIds.filter((id) => known.acknowledge(id)).length;
  }

  async groups(stream: string, options: CallOptions): Promise<readonly GroupInfo[]> {
    this.#check(`list groups of ${stream}`, options.signal);
    return this.#stream(stream).groups();
  }

  async removeGroup(stream: string, group: string, options: CallOptions): Promise<void> {
    this.#check(`remove group ${group} of ${stream}`, options.signal);
    this.#stream(stream).removeGroup(group);
  }

  async acknowledgeOwned(request: OwnedEntries, options: CallOptions): Promise<readonly string[]> {
    const { stream, group, consumer, entryIds } = request;
    if (entryIds.length === 0) return [];
    const known = this.#group(`acknowledge on ${stream}`, stream, group, options);
    return entryIds.filter((id) => known.owned(id, consumer) !== undefined && known.acknowledge(id));
  }

  async redeliver(request: OwnedEntries, options: CallOptions): Promise<readonly StreamEntry[]> {
    const { stream, group, consumer, entryIds } = request;
    if (entryIds.length === 0) return [];
    const known = this.#group(`redeliver on ${stream}`, stream, group, options);
    return this.#stream(stream).redeliver(known, consumer, entryIds, this.#clock.monotonicMs());
  }

  async extendLease(request: OwnedEntries, options: CallOptions): Promise<readonly string[]> {
    const { stream, group, consumer, entryIds } = request;
    if (entryIds.length === 0) return [];
    const known = this.#group(`extend leases on ${stream}`, stream, group, options);
    return known.touch(entryIds, consumer, this.#clock.monotonicMs());
  }

  async claim(request: ClaimRequest, options: CallOptions): Promise<ClaimPage> {
    const { stream, group } = request;
    const known = this.#group(`claim on ${stream}`, stream, group, options);
    return this.#stream(stream).claim(known, request, this.#clock.monotonicMs());
  }

  async deadLetter(request: DeadLetterRequest, options: CallOptions): Promise<'moved' | 'not-owned'> {
    const { stream, group, consumer, entryId } = request;
    const known = this.#group(`dead-letter from ${stream}`, stream, group, options);
    const letters = this.#stream(request.deadLetterStream);
    const origin = deadLetterOrigin(request);
    const nowMs = this.#clock.wallMs();
    const owned = known.owned(entryId, consumer) !== undefined;
    const isStored = letters.findDuplicate(origin, nowMs) !== undefined;
    if (!isStored && !owned) return 'not-owned';
    if (!isStored) await this.storeLetter(request, options);
    if (owned) known.acknowledge(entryId);
    return 'moved';
  }

  async storeLetter(request: DeadLetterRequest, options: CallOptions): Promise<void> {
    const { deadLetterStream, payload, signature, fields, maxLength, maxBytes = 0, onCut } = request;
    this.#check(`dead-letter to ${deadLetterStream}`, options.signal);
    const letters = this.#stream(deadLetterStream);
    const [origin, nowMs] = [deadLetterOrigin(request), this.#clock.wallMs()];
    if (letters.findDuplicate(origin, nowMs) !== undefined) return;
    const letterId = letters.append(payload, signature, nowMs, { ...fields });
    letters.remember(origin, letterId, nowMs + DEAD_LETTER_DEDUP_MS);
    const cut = letters.trimTo(maxLength) + (maxBytes > 0 ? letters.trimToBytes(maxBytes) : 0);
    if (cut > 0) onCut?.(cut);
  }

  async ownPending(request: OwnPendingRequest, options: CallOptions): Promise<readonly PendingRow[]> {
    const { stream, group } = request;
    return this.#group(`list own pending of ${stream}`, stream, group, options).ownRows(request);
  }

  async ownersOf(
    stream: string,
    group: string,
    entryIds: readonly string[],
    options: CallOptions,
  ): Promise<ReadonlyMap<string, string>> {
    return this.#group(`look for owners on ${stream}`, stream, group, options).ownersOf(entryIds);
  }

  async reserve(request: ReserveRequest, options: CallOptions): Promise<readonly Reservation[]> {
    const { stream, group } = request;
    this.#check(`reserve events of ${stream}`, options.signal);
    const known = this.#stream(stream).group(group);
    const isPending = (id: string): boolean => known?.ownersOf([id]).size === 1;
    return this.#guards.reserve(request, isPending, this.#clock.monotonicMs());
  }

  async acknowledgeHandled(request: HandledRequest, options: CallOptions): Promise<readonly string[]> {
    this.#check(`acknowledge on ${request.stream}`, options.signal);
    this.#guards.handled(request, this.#clock.monotonicMs());
    const entryIds = request.events.map(({ entryId }) => entryId);
    return this.acknowledgeOwned({ ...request, entryIds }, options);
  }

  async giveBack(request: GiveBackRequest, options: CallOptions): Promise<readonly string[]> {
    const { stream, group } = request;
    return this.#group(`give back on ${stream}`, stream, group, options).giveBack(request);
  }

  async depth(stream: string, _countLimit: number, options: CallOptions): Promise<StreamDepth> {
    this.#check(`measure ${stream}`, options.signal);
    return this.#stream(stream).depth();
  }

  async trim(request: TrimRequest, options: CallOptions): Promise<TrimResult> {
    this.#check(`trim ${request.stream}`, options.signal);
    return this.#stream(request.stream).trim(request, this.#clock.wallMs());
  }

  async consumers(stream: string, group: string, options: CallOptions): Promise<readonly ConsumerInfo[]> {
    const known = this.#group(`list consumers of ${stream}`, stream, group, options);
    return known.consumers(this.#clock.monotonicMs());
  }

  async removeConsumer(
    stream: string,
    group: string,
    consumer: string,
    options: CallOptions,
  ): Promise<boolean> {
    this.#check(`remove consumer ${consumer} of ${stream}`, options.signal);
    return this.#stream(stream).group(group)?.removeConsumer(consumer) ?? false;
  }

  async range(request: RangeRequest, options: CallOptions): Promise<readonly RawEntry[]> {
    this.#check(`list ${request.stream}`, options.signal);
    return this.#stream(request.stream).range(request);
  }

  async remove(stream: string, entryIds: readonly string[], options: CallOptions): Promise<number> {
    this.#check(`remove from ${stream}`, options.signal);
    return this.#stream(stream).remove(entryIds);
  }

  async timeMs(options: CallOptions): Promise<number> {
    this.#check('read the time', options.signal);
    return this.#clock.wallMs();
  }

  async ping(options: CallOptions): Promise<void> {
    this.#check('ping', options.signal);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const stream of this.#streams.values()) stream.wakeReaders();
  }

  async #read(
    request: ReadRequest,
    signal: AbortSignal,
    closing: AbortSignal,
  ): Promise<readonly StreamEntry[]> {
    const what = `read ${request.stream} as ${request.group}`;
    const stream = this.#stream(request.stream);
    const endsAtMs = this.#clock.monotonicMs() + (request.which === 'new' ? request.blockMs : 0);
    for (;;) {
      if (closing.aborted) throw closedError(what);
      this.#check(what, signal);
      const group = stream.group(request.group);
      if (group === undefined) throw noGroupError(what);
      const entries = stream.read(group, request, this.#clock.monotonicMs());
      const leftMs = endsAtMs - this.#clock.monotonicMs();
      if (entries.length > 0 || leftMs <= 0) return entries;
      await stream.untilWoken(this.#clock, leftMs, [signal, closing]);
    }
  }

  #check(what: string, signal: AbortSignal | undefined): void {
    if (this.#closed) throw closedError(what);
    if (signal?.aborted) throw abortedError(what, signal);
  }

  #group(what: string, stream: string, group: string, options: CallOptions): MemoryGroup {
    this.#check(what, options.signal);
    const known = this.#stream(stream).group(group);
    if (known === undefined) throw noGroupError(what);
    return known;
  }

  #stream(name: string): MemoryStream {
    const known = this.#streams.get(name);
    if (known !== undefined) return known;
    const created = new MemoryStream(name);
    this.#streams.set(name, created);
    return created;
  }
}

/**
 * Streams of this process. Publishers and readers that share one instance share its streams; they end with it.
 * Nothing here keeps the process alive.
 */
export function createMemoryTransport(options: MemoryTransportOptions = {}): BusTransport {
  return new MemoryTransport(MEMORY_TRANSPORT_OPTIONS.resolve(options).clock);
}
