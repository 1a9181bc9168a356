import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { errorCode } from '../../src/core/errors.ts';
import { createRedisTransport, type RedisTransportOptions } from '../../src/oona/index.ts';
import type {
  AppendRequest,
  AppendResult,
  BusTransport,
  StreamEntry,
} from '../../src/oona/transport/transport.ts';
import { atEnd } from './oona-hosts.ts';

/** A transport that is impatient enough for tests of what goes wrong; closed after the test. */
export function transportOf(options: RedisTransportOptions): BusTransport {
  const timing = {
    connectTimeoutMs: 1000,
    stallMs: 300,
    readSlackMs: 300,
    reconnectBaseMs: 5,
    reconnectCapMs: 100,
  };
  const transport = createRedisTransport({ ...timing, ...options });
  atEnd(() => transport.close());
  return transport;
}

export function appendRequest(stream: string, text: string): AppendRequest {
  return {
    stream,
    payload: Buffer.from(text),
    signature: '',
    dedupId: text,
    dedupWindowMs: 60_000,
    ttlMs: 0,
  };
}

export const textOf = (entry: StreamEntry): string => Buffer.from(entry.payload).toString();

const CALL = Object.freeze({ deadlineMs: 5000 });

/** Append, read, acknowledge, by the contract alone. */
export async function roundTrip(transport: BusTransport, stream: string): Promise<void> {
  const group = `g-${randomUUID()}`;
  const text = randomUUID();
  await transport.ensureGroup(stream, group, '0', CALL);
  const { outcome, entryId } = await transport.append(appendRequest(stream, text), CALL);
  assert.is(outcome, 'appended');
  assert.is((await transport.append(appendRequest(stream, text), CALL)).outcome, 'duplicate');
  const reader = transport.openReader();
  try {
    const base = { stream, group, consumer: 'c', afterId: '0', count: 1000, blockMs: 2000 };
    const { signal } = new AbortController();
    const entries = await reader.read({ ...base, which: 'new' }, signal);
    assert.equal([entries.at(-1)?.entryId, textOf(entries.at(-1) as StreamEntry)], [entryId, text]);
    const ids = entries.map((entry) => entry.entryId);
    assert.is(await transport.acknowledge(stream, group, ids, CALL), ids.length);
    assert.equal(await reader.read({ ...base, which: 'pending' }, signal), []);
  } finally {
    await reader.close();
  }
  const found = (await transport.groups(stream, CALL)).find((one) => one.group === group);
  assert.is(found?.pending, 0);
}

/** The code a call ended with, or 'ok'. */
export const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'ok',
    (error: unknown) => errorCode(error) ?? String(error),
  );

/** How often each code came. */
export class Codes extends Map<string, number> {
  count(error: unknown): void {
    const code = errorCode(error) ?? String(error);
    this.set(code, (this.get(code) ?? 0) + 1);
  }
}

export interface Appending {
  /** Texts that were answered 'appended' or 'duplicate'. */
  readonly confirmed: string[];
  /** How often an id was answered 'duplicate': an earlier try had been stored unseen. */
  readonly duplicates: number;
  readonly codes: Codes;
  /** Ends after each lane's present message is stored. */
  stop(): Promise<void>;
}

/** `lanes` publishers at once, each trying every message until it is stored. */
export function startAppending(
  transport: BusTransport,
  stream: string,
  lanes: number,
  pauseMs = 0,
  deadlineMs = 500,
): Appending {
  const confirmed: string[] = [];
  const codes = new Codes();
  let duplicates = 0;
  let running = true;
  async function store(text: string): Promise<AppendResult> {
    for (;;) {
      try {
        return await transport.append(appendRequest(stream, text), { deadlineMs });
      } catch (error) {
        codes.count(error);
        await delay(5);
      }
    }
  }
  const work = Array.from({ length: lanes }, async (_, lane) => {
    for (let i = 0; running; i++) {
      const text = `${lane}:${i}`;
      if ((await store(text)).outcome === 'duplicate') duplicates += 1;
      confirmed.push(text);
      if (pauseMs > 0) await delay(pauseMs);
    }
  });
  return {
    confirmed,
    codes,
    get duplicates() {
      return duplicates;
    },
    async stop() {
      running = false;
      await Promise.all(work);
    },
  };
}

export interface Reading {
  /** Texts in the order in which they were read, repeats included. */
  readonly heard: string[];
  readonly codes: Codes;
  stop(): Promise<void>;
}

/** Reads a stream as one consumer: own pending entries first, after every error again; acknowledges what it read. */
export function startReading(transport: BusTransport, stream: string, group = 'g'): Reading {
  const heard: string[] = [];
  const codes = new Codes();
  const stopping = new AbortController();
  const reader = transport.openReader();
  const base = { stream, group, consumer: 'c', count: 100, blockMs: 200, afterId: '0' };
  async function step(which: 'new' | 'pending'): Promise<number> {
    const entries = await reader.read({ ...base, which }, stopping.signal);
    if (entries.length === 0) return 0;
    // Before the acknowledgement: where its answer is lost, the entries do not come again.
    heard.push(...entries.map(textOf));
    const ids = entries.map(({ entryId }) => entryId);
    await transport.acknowledge(stream, group, ids, { deadlineMs: 1000 });
    return entries.length;
  }
  const work = (async () => {
    while (!stopping.signal.aborted) {
      try {
        await transport.ensureGroup(stream, group, '0', { deadlineMs: 1000 });
        while ((await step('pending')) > 0);
        for (;;) await step('new');
      } catch (error) {
        if (!stopping.signal.aborted) codes.count(error);
        await delay(5);
      }
    }
  })();
  return {
    heard,
    codes,
    async stop() {
      stopping.abort();
      await work;
      await reader.close();
    },
  };
}
