import type { Clock } from '../../core/clock.ts';
import { compareEntryIds } from './entries.ts';
import type { HandledRequest, Reservation, ReserveRequest } from './guard.ts';
import type { CallBounds } from './in-flight.ts';
import { LUA_SCRIPTS } from './lua-scripts.ts';
import type { GiveBackRequest, OwnPendingRequest, PendingRow } from './pending.ts';
import { withoutGroup } from './redis-errors.ts';
import { acknowledgeHandled, reserve } from './redis-guard.ts';
import { besideKey } from './redis-keys.ts';
import { letterArgs, letterCode, letterKey } from './redis-letters.ts';
import type { RedisLink } from './redis-link.ts';
import { giveBack, ownersOf, ownPending } from './redis-pending.ts';
import {
  parseClaim,
  parseConsumers,
  parseDepth,
  parseEntries,
  parseForeignFields,
  parseIds,
  parseRange,
  parseTrimPart,
} from './redis-replies.ts';
import { RedisScript } from './redis-script.ts';
import { wireText } from './redis-wire.ts';
import type { CallOptions, RawEntry, StreamEntry } from './transport.ts';
import type {
  ClaimPage,
  ClaimRequest,
  ConsumerInfo,
  DeadLetterRequest,
  DepthOptions,
  OwnedEntries,
  RangeRequest,
  StreamDepth,
  TrimRequest,
  TrimResult,
  WorkTransport,
} from './work.ts';

const acknowledgeScript = new RedisScript('acknowledge-owned-1');
const redeliverScript = new RedisScript('redeliver-1');
const extendScript = new RedisScript('extend-lease-1');
const claimScript = new RedisScript('claim-1');
const deadLetterScript = new RedisScript('dead-letter-4');
const storeLetterScript = new RedisScript('dead-letter-store-3');
const depthScript = new RedisScript('depth-2');
const trimScript = new RedisScript('trim-acknowledged-1');
const removeConsumerScript = new RedisScript('remove-consumer-1');

export interface WorkTuning {
  readonly clock: Clock;
  readonly waitReplicas: number;
}

/** Work on Redis: each call one round trip, and what must not come apart one Lua call. */
export class RedisWork implements WorkTransport {
  readonly #control: RedisLink;
  readonly #options: WorkTuning;

  constructor(control: RedisLink, options: WorkTuning) {
    this.#control = control;
    this.#options = options;
  }

  acknowledgeOwned(request: OwnedEntries, options: CallOptions): Promise<readonly string[]> {
    return this.#onOwned(acknowledgeScript, 'acknowledge', request, options, (reply) => {
      const done = new Set(parseIds(reply));
      return request.entryIds.filter((id) => done.delete(id));
    });
  }

  redeliver(request: OwnedEntries, options: CallOptions): Promise<readonly StreamEntry[]> {
    return this.#onOwned(redeliverScript, 'redeliver', request, options, (reply) => {
      const entries = new Map(parseEntries(request.stream, reply).map((entry) => [entry.entryId, entry]));
      return request.entryIds.flatMap((id) => entries.get(id) ?? []);
    });
  }

  extendLease(request: OwnedEntries, options: CallOptions): Promise<readonly string[]> {
    return this.#onOwned(extendScript, 'extend leases', request, options, (reply) => {
      const kept = new Set(parseIds(reply));
      return request.entryIds.filter((id) => kept.has(id));
    });
  }

  claim(request: ClaimRequest, options: CallOptions): Promise<ClaimPage> {
    const { stream, group, consumer, minIdleMs, cursor, count } = request;
    const page = [String(Math.ceil(minIdleMs)), cursor, String(count)];
    const values = [wireText(stream), wireText(group), wireText(consumer), ...page];
    return claimScript.run(this.#control, bounds('claim on', stream, options), values, (reply) =>
      parseClaim(stream, reply),
    );
  }

  async deadLetter(request: DeadLetterRequest, options: CallOptions): Promise<'moved' | 'not-owned'> {
    const { stream, group, consumer, entryId, deadLetterStream } = request;
    if (!this.#control.together(stream, deadLetterStream)) return this.#deadLetterApart(request, options);
    const keys = [stream, deadLetterStream, letterKey(request)].map(wireText);
    const place = [
      ...keys,
      besideKey(deadLetterStream, 'bytes'),
      ...[group, consumer, entryId].map(wireText),
    ];
    const { payload, signature } = request;
    const rest = this.#restOf(options);
    const move = (content: readonly (string | Uint8Array)[]): Promise<number> => {
      const values = [...place, ...content, ...letterArgs(request)];
      const called = bounds('dead-letter from', stream, rest());
      return deadLetterScript.run(this.#control, called, values, (reply) => letterCode(reply, request));
    };
    const { moved, nothingToCopy } = LUA_SCRIPTS['dead-letter-4'].codes;
    // The engine has the original: it may be large, and travels back only when it has gone from the stream.
    let answer = await move(['0', '', '']);
    if (answer === nothingToCopy) answer = await move(['1', payload, signature]);
    return answer === moved ? 'moved' : 'not-owned';
  }

  depth(stream: string, countLimit: number, options: DepthOptions): Promise<StreamDepth> {
    const { maxAgeMs = 0 } = options;
    const numbers = [countLimit, maxAgeMs].map((value) => String(Math.max(0, Math.floor(value))));
    const values = [wireText(stream), besideKey(stream, 'depths'), ...numbers];
    return depthScript.run(this.#control, bounds('measure', stream, options), values, parseDepth);
  }

  async trim({ stream, ttlMs, maxLength }: TrimRequest, options: CallOptions): Promise<TrimResult> {
    const values = [wireText(stream), String(Math.ceil(ttlMs)), String(Math.floor(maxLength))];
    const { clock } = this.#options;
    const endsAtMs = clock.monotonicMs() + options.deadlineMs / 2;
    const rest = this.#restOf(options);
    let [removed, cutUnread] = [0, 0];
    for (;;) {
      const part = await trimScript.run(this.#control, bounds('trim', stream, rest()), values, parseTrimPart);
      removed += part.removed;
      cutUnread += part.cutUnread;
      if (!part.more || clock.monotonicMs() >= endsAtMs) return { removed, cutUnread };
    }
  }

  async consumers(stream: string, group: string, options: CallOptions): Promise<readonly ConsumerInfo[]> {
    try {
      const what = 'list consumers of';
      return parseConsumers(await this.#call(what, stream, options, 'XINFO', ['CONSUMERS', stream, group]));
    } catch (error) {
      throw withoutGroup(error) ?? error;
    }
  }

  ownPending(request: OwnPendingRequest, options: CallOptions): Promise<readonly PendingRow[]> {
    return ownPending(this.#control, request, options);
  }

  ownersOf(
    stream: string,
    group: string,
    entryIds: readonly string[],
    options: CallOptions,
  ): Promise<ReadonlyMap<string, string>> {
    return ownersOf(this.#control, stream, group, entryIds, options);
  }

  reserve(request: ReserveRequest, options: CallOptions): Promise<readonly Reservation[]> {
    return reserve(this.#control, request, options);
  }

  acknowledgeHandled(request: HandledRequest, options: CallOptions): Promise<readonly string[]> {
    return acknowledgeHandled(this.#control, request, options);
  }

  giveBack(request: GiveBackRequest, options: CallOptions): Promise<readonly string[]> {
    return giveBack(this.#control, request, options);
  }

  /** Acknowledged is for good: a failover right after must not lose a letter that only the primary had. */
  async storeLetter(request: DeadLetterRequest, options: CallOptions): Promise<void> {
    const { stream, entryId, deadLetterStream, payload, signature } = request;
    const rest = this.#restOf(options);
    const original = await this.#call('dead-letter from', stream, options, 'XRANGE', [
      stream,
      entryId,
      entryId,
    ]);
    const called = bounds('dead-letter to', deadLetterStream, rest());
    const values = [
      wireText(deadLetterStream),
      wireText(letterKey(request)),
      besideKey(deadLetterStream, 'bytes'),
      payload,
      signature,
      ...letterArgs(request),
      ...parseForeignFields(original),
    ];
    const confirmed = { ...called, replicas: this.#options.waitReplicas };
    await storeLetterScript.run(this.#control, confirmed, values, (reply) => letterCode(reply, request));
  }

  async removeConsumer(
    stream: string,
    group: string,
    consumer: string,
    options: CallOptions,
  ): Promise<boolean> {
    const values = [wireText(stream), wireText(group), wireText(consumer)];
    const called = bounds('remove a consumer of', stream, options);
    const { removed } = LUA_SCRIPTS['remove-consumer-1'].codes;
    try {
      return await removeConsumerScript.run(this.#control, called, values, (reply) => reply === removed);
    } catch (error) {
      if (withoutGroup(error) === undefined) throw error;
      return false;
    }
  }

  async range(request: RangeRequest, options: CallOptions): Promise<readonly RawEntry[]> {
    const { stream, after, count, newestFirst } = request;
    const from = after === '' ? undefined : `(${after}`;
    const [command, ...ends] = newestFirst ? ['XREVRANGE', from ?? '+', '-'] : ['XRANGE', from ?? '-', '+'];
    const args = [stream, ...ends, 'COUNT', String(count)];
    return parseRange(await this.#call('list', stream, options, command ?? '', args));
  }

  async remove(stream: string, entryIds: readonly string[], options: CallOptions): Promise<number> {
    if (entryIds.length === 0) return 0;
    return Number(await this.#call('remove from', stream, options, 'XDEL', [stream, ...entryIds]));
  }

  /**
   * On a Cluster, the streams in different slots: no Lua call can touch both. First the letter, deduplicated by its
   * origin, then the acknowledgement, fenced by its owner: whatever dies in between, the entry is never in neither. An
   * entry that somebody takes over in between may be handled although its letter lies there.
   */
  async #deadLetterApart(request: DeadLetterRequest, options: CallOptions): Promise<'moved' | 'not-owned'> {
    const { stream, group, consumer, entryId, deadLetterStream } = request;
    const rest = this.#restOf(options);
    const pending = [stream, group, entryId, entryId, '1', consumer];
    const rows = await this.#call('dead-letter from', stream, options, 'XPENDING', pending);
    const owned = Array.isArray(rows) && rows.length > 0;
    if (!owned) {
      const key = letterKey(request);
      const letters = await this.#call('dead-letter to', deadLetterStream, rest(), 'EXISTS', [key]);
      return letters === 1 ? 'moved' : 'not-owned';
    }
    await this.storeLetter(request, rest());
    const done = await this.acknowledgeOwned({ stream, group, consumer, entryIds: [entryId] }, rest());
    if (done.length > 0) return 'moved';
    // Nobody's any more: the same call, sent twice, has acknowledged it. Somebody else's: it was taken over.
    const others = [stream, group, entryId, entryId, '1'];
    const left = await this.#call('dead-letter from', stream, rest(), 'XPENDING', others);
    return Array.isArray(left) && left.length > 0 ? 'not-owned' : 'moved';
  }

  /** What is left of the deadline at each call of what it returns. */
  #restOf(options: CallOptions): () => CallOptions {
    const { clock } = this.#options;
    const startedAtMs = clock.monotonicMs();
    return () => {
      const spentMs = clock.monotonicMs() - startedAtMs;
      return { ...options, deadlineMs: Math.max(1, options.deadlineMs - spentMs) };
    };
  }

  async #onOwned<T>(
    script: RedisScript,
    what: string,
    { stream, group, consumer, entryIds }: OwnedEntries,
    options: CallOptions,
    read: (reply: unknown) => readonly T[],
  ): Promise<readonly T[]> {
    if (entryIds.length === 0) return [];
    const inOrder = [...entryIds].sort(compareEntryIds);
    const values = [wireText(stream), wireText(group), wireText(consumer), ...inOrder];
    return await script.run(this.#control, bounds(`${what} on`, stream, options), values, read);
  }

  #call(
    what: string,
    stream: string,
    options: CallOptions,
    command: string,
    args: readonly string[],
  ): Promise<unknown> {
    return this.#control.run(bounds(what, stream, options), (client) =>
      client.callBuffer(command, [...args]),
    );
  }
}

function bounds(what: string, stream: string, options: CallOptions): CallBounds & { readonly key: string } {
  return { what: `${what} ${stream}`, key: stream, ...options };
}
