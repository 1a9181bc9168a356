import type { EventEmitter } from 'node:events';
import { EntriesParser } from './redis-entry-parser.ts';
import type { RedisCaller } from './redis-link.ts';
import type { StreamEntry } from './transport.ts';

/** What of ioredis's client this uses. */
interface Tapped {
  readonly stream: EventEmitter;
  /** Commands that wait for their replies. */
  readonly commandQueue: { readonly length: number };
}

type Listener = (data: Buffer) => void;

/** A reply that ioredis takes for "nothing came": its command is then done. */
const NOTHING_CAME = Buffer.from('*-1\r\n');
/** Larger entries go ioredis's way: they come in many pieces, and here each would be copied again for every next one. */
const LARGEST_ENTRY = 256 * 1024;

/**
 * Parses the replies of XREADGROUP itself, straight out of the socket's bytes, because a sixth of a consumer's time went
 * into the client's parser. Everything else, and every reply that is not quite what is expected, goes to ioredis byte
 * for byte, so that no answer is understood in two ways.
 */
export class EntryTap {
  readonly #client: Tapped;
  readonly #pass: Listener;
  /** Of the read under way; undefined while everything passes. */
  #reading: EntriesParser | undefined;
  /** Its reply so far, should ioredis have to take it. */
  #pieces: Buffer[] = [];
  #entries: StreamEntry[] | undefined;

  /** Undefined where there is no such client, or others listen to its socket. */
  static on(client: RedisCaller): EntryTap | undefined {
    const { stream, commandQueue } = client as Partial<Tapped>;
    if (stream === undefined || commandQueue === undefined) return undefined;
    const [pass, ...others] = stream.listeners('data');
    if (pass === undefined || others.length > 0) return undefined;
    return new EntryTap({ stream, commandQueue }, pass as Listener);
  }

  private constructor(client: Tapped, pass: Listener) {
    this.#client = client;
    this.#pass = pass;
    client.stream.removeListener('data', pass);
    client.stream.prependListener('data', (data: Buffer) => this.#onData(data));
  }

  /** Before a read is sent. Only where nothing else is under way: then the next bytes are the reply's first. */
  expect(stream: string): void {
    this.#entries = undefined;
    this.#pieces = [];
    this.#reading = this.#client.commandQueue.length === 0 ? new EntriesParser(stream) : undefined;
  }

  /** What the read brought, once its command is done; undefined when ioredis has its reply. */
  take(): StreamEntry[] | undefined {
    const entries = this.#entries;
    this.#entries = undefined;
    return entries;
  }

  #onData(data: Buffer): void {
    if (this.#reading === undefined) {
      this.#pass(data);
      return;
    }
    this.#pieces.push(data);
    const parsed = this.#reading.add(data);
    if (parsed === 'incomplete' && this.#reading.held < LARGEST_ENTRY) return;
    const pieces = this.#pieces;
    this.#reading = undefined;
    this.#pieces = [];
    if (typeof parsed === 'string') {
      for (const piece of pieces) this.#pass(piece);
      return;
    }
    this.#entries = parsed;
    this.#pass(NOTHING_CAME);
  }
}
