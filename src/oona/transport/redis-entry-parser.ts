import type { StreamEntry } from './transport.ts';

/** incomplete: more bytes must come · foreign: anything but entries as this package writes them. */
export type EntriesReply = StreamEntry[] | 'incomplete' | 'foreign';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

const ONE_STREAM = bytes('*1\r\n*2\r\n$');
const ENTRIES = bytes('\r\n*');
const ENTRY = bytes('\r\n*2\r\n$');
const PAYLOAD = bytes('\r\n*4\r\n$7\r\npayload\r\n$');
const SIGNATURE = bytes('\r\n$9\r\nsignature\r\n$');
const END = bytes('\r\n');

const EMPTY = Buffer.alloc(0);
const CR = 13;
const ZERO = 48;
const MOST_DIGITS = 9;

/** What is wrong with the bytes at the cursor, or 0. */
const INCOMPLETE = -1;
const FOREIGN = -2;

/**
 * The RESP2 reply of XREADGROUP on one stream, whole entries of this package only: fields `payload` and `signature`, in
 * this order. It makes three objects an entry; ioredis's parser makes nine, of any reply there is.
 */
export class EntriesParser {
  readonly #stream: string;
  readonly #entries: StreamEntry[] = [];
  /** Entries that are still to come; undefined before that is known. */
  #left: number | undefined;
  /** What is not parsed, and where it is looked at. */
  #buffer: Buffer = EMPTY;
  #at = 0;

  constructor(stream: string) {
    this.#stream = stream;
  }

  /** Bytes of the entry that is not whole yet. */
  get held(): number {
    return this.#buffer.length;
  }

  /** The next piece of the reply. */
  add(piece: Buffer): EntriesReply {
    this.#buffer = this.#buffer.length === 0 ? piece : Buffer.concat([this.#buffer, piece]);
    this.#at = 0;
    let start = 0;
    let wrong = this.#left === undefined ? this.#begin() : 0;
    while (wrong === 0 && this.#left !== 0) {
      start = this.#at;
      wrong = this.#entry();
    }
    if (wrong === 0) {
      start = this.#at;
      wrong = this.#expect(END);
    }
    if (wrong === INCOMPLETE) {
      this.#buffer = this.#buffer.subarray(start);
      return 'incomplete';
    }
    // What follows the end is the reply of another command.
    return wrong === 0 && this.#at === this.#buffer.length ? this.#entries : 'foreign';
  }

  #begin(): number {
    const nameLength = this.#number(ONE_STREAM);
    if (nameLength < 0) return nameLength;
    this.#skip(nameLength);
    const count = this.#number(ENTRIES);
    if (count < 0) return count;
    this.#left = count;
    return 0;
  }

  #entry(): number {
    const idLength = this.#number(ENTRY);
    if (idLength < 0) return idLength;
    const idAt = this.#skip(idLength);
    const payloadLength = this.#number(PAYLOAD);
    if (payloadLength < 0) return payloadLength;
    const payloadAt = this.#skip(payloadLength);
    const signatureLength = this.#number(SIGNATURE);
    if (signatureLength < 0) return signatureLength;
    const signatureAt = this.#skip(signatureLength);
    const buffer = this.#buffer;
    if (this.#at > buffer.length) return INCOMPLETE;
    this.#entries.push({
      stream: this.#stream,
      entryId: buffer.toString('latin1', idAt, idAt + idLength),
      payload: buffer.subarray(payloadAt, payloadAt + payloadLength),
      signature: buffer.toString('latin1', signatureAt, signatureAt + signatureLength),
      deliveryCount: 1,
    });
    this.#left = (this.#left ?? 0) - 1;
    return 0;
  }

  /** Returns where it was. */
  #skip(length: number): number {
    const from = this.#at;
    this.#at = from + length;
    return from;
  }

  #expect(expected: Buffer): number {
    const buffer = this.#buffer;
    const from = this.#at;
    for (let i = 0; i < expected.length; i++) {
      if (from + i >= buffer.length) return INCOMPLETE;
      if (buffer[from + i] !== expected[i]) return FOREIGN;
    }
    this.#at = from + expected.length;
    return 0;
  }

  /** The digits after `before`; the cursor goes behind the line where a string begins, and before its end elsewhere. */
  #number(before: Buffer): number {
    const wrong = this.#expect(before);
    if (wrong < 0) return wrong;
    const buffer = this.#buffer;
    let value = 0;
    for (let digits = 0; ; digits++) {
      const byte = buffer[this.#at];
      if (byte === undefined) return INCOMPLETE;
      if (byte === CR && digits > 0) break;
      const digit = byte - ZERO;
      if (digit < 0 || digit > 9 || digits === MOST_DIGITS) return FOREIGN;
      value = value * 10 + digit;
      this.#at += 1;
    }
    if (before === ENTRIES) return value;
    const ended = this.#expect(END);
    return ended < 0 ? ended : value;
  }
}
