import { type Clock, systemClock } from '../../core/clock.ts';
import { resolveOptions } from '../../core/options.ts';
import { abortedError, closedError, TransportError } from '../errors.ts';
import { MemoryStream } from './memory-stream.ts';
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

export interface MemoryTransportOptions {
  readonly clock?: Clock;
}

const DEFAULTS: Required<MemoryTransportOptions> = Object.freeze({ clock: systemClock });

class MemoryTransport implements BusTransport {
  readonly kind = 'memory';
  readonly #clock: Clock;
  readonly #streams = new Map<string, MemoryStream>();
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
    const { dedupId, dedupWindowMs, ttlMs } = request;
    const first = dedupWindowMs > 0 ? stream.findDuplicate(dedupId, nowMs) : undefined;
    if (first !== undefined) return { outcome: 'duplicate', entryId: first };
    if (ttlMs > 0) stream.trimBefore(nowMs - ttlMs);
    const entryId = stream.append(request.payload, request.signature, nowMs);
    if (dedupWindowMs > 0) stream.remember(dedupId, entryId, nowMs + dedupWindowMs);
    return { outcome: 'appended', entryId };
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
    return this.#stream(stream).acknowledge(group, entryIds);
  }

  async groups(stream: string, options: CallOptions): Promise<readonly GroupInfo[]> {
    this.#check(`list groups of ${stream}`, options.signal);
    return this.#stream(stream).groups();
  }

  async removeGroup(stream: string, group: string, options: CallOptions): Promise<void> {
    this.#check(`remove group ${group} of ${stream}`, options.signal);
    this.#stream(stream).removeGroup(group);
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
      const entries = stream.read(request);
      if (entries === undefined) {
        throw new TransportError('ESPER_OONA_NO_GROUP', `${what}: no such group: ensureGroup creates it`);
      }
      const leftMs = endsAtMs - this.#clock.monotonicMs();
      if (entries.length > 0 || leftMs <= 0) return entries;
      await this.#untilWoken(stream, leftMs, [signal, closing]);
    }
  }

  async #untilWoken(stream: MemoryStream, forMs: number, signals: AbortSignal[]): Promise<void> {
    const woken = new AbortController();
    const wake = (): void => woken.abort();
    const unsubscribe = stream.onWake(wake);
    for (const signal of signals) signal.addEventListener('abort', wake, { once: true });
    try {
      await this.#clock.sleep(forMs, woken.signal);
    } catch (error) {
      if (!woken.signal.aborted) throw error;
    } finally {
      unsubscribe();
      for (const signal of signals) signal.removeEventListener('abort', wake);
    }
  }

  #check(what: string, signal: AbortSignal | undefined): void {
    if (this.#closed) throw closedError(what);
    if (signal?.aborted) throw abortedError(what, signal);
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
  return new MemoryTransport(resolveOptions('createMemoryTransport', DEFAULTS, options).clock);
}
