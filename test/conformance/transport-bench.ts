import { randomUUID } from 'node:crypto';
import type { TransportErrorCode } from '../../src/oona/errors.ts';
import type {
  AppendRequest,
  BusTransport,
  ReadRequest,
  StreamEntry,
  TransportReader,
} from '../../src/oona/transport/transport.ts';

/** What an engine gives the suite. Each `open` is a transport on the same engine, closed by the suite. */
export interface TransportFixture {
  open(): BusTransport;
  /** Another transport that sees the same streams; the same object where an engine lives in one process. */
  openPeer(transport: BusTransport): BusTransport;
  teardown(): Promise<void>;
}

/** Far beyond what any call takes: a watchdog. */
export const calls = { deadlineMs: 10_000 };
export const never = new AbortController().signal;
export const text = (value: string): Uint8Array => new TextEncoder().encode(value);
export const ids = (entries: readonly StreamEntry[]): string[] => entries.map(({ entryId }) => entryId);
export const texts = (entries: readonly StreamEntry[]): string[] =>
  entries.map(({ payload }) => new TextDecoder().decode(payload));

/** What a test works with: a stream of its own, a transport, another one, and a reader. */
export interface Bench {
  readonly transport: BusTransport;
  readonly peer: BusTransport;
  readonly reader: TransportReader;
  readonly stream: string;
  append(value: string, more?: Partial<AppendRequest>): Promise<string>;
  read(more?: Partial<ReadRequest>): Promise<readonly StreamEntry[]>;
}

export async function rejection(
  promise: Promise<unknown>,
): Promise<{ code: TransportErrorCode; message: string }> {
  try {
    await promise;
  } catch (error) {
    return error as { code: TransportErrorCode; message: string };
  }
  throw new Error('expected a rejection');
}

/** A fresh stream on transports that the caller closes. */
export function openBench(fixture: TransportFixture): Bench {
  const transport = fixture.open();
  const peer = fixture.openPeer(transport);
  const reader = transport.openReader();
  const stream = `test.${randomUUID()}`;
  const append = async (value: string, more: Partial<AppendRequest> = {}): Promise<string> => {
    const request = { stream, payload: text(value), signature: 's', dedupWindowMs: 60_000, ttlMs: 0 };
    const result = await transport.append({ ...request, dedupId: randomUUID(), ...more }, calls);
    return result.entryId;
  };
  const read = (more: Partial<ReadRequest> = {}): Promise<readonly StreamEntry[]> => {
    const request: ReadRequest = {
      stream,
      group: 'g',
      consumer: 'c',
      which: 'new',
      afterId: '0',
      count: 10,
      blockMs: 0,
    };
    return reader.read({ ...request, ...more }, never);
  };
  return { transport, peer, reader, stream, append, read };
}
