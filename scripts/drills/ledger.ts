/**
 * Both sides' ledgers, by event id. A line is written in one system call before the answer goes out, so what stands
 * there has happened, and a process that is killed with SIGKILL leaves its ledger whole.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';

/** One publish that settled, or one call of a handler. */
export interface LedgerLine {
  readonly eventId: string;
  /** Publisher: entry id, or '-'. Consumer: entry id. */
  readonly entryId: string;
  /** Publisher: how it ended. Consumer: the delivery count. */
  readonly word: string;
  /** Monotonic, the same in all processes. */
  readonly atMs: number;
}

export class LedgerWriter {
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = openSync(path, 'a');
  }

  write({ eventId, entryId, word, atMs }: LedgerLine): void {
    writeSync(this.#fd, `${eventId} ${entryId} ${word} ${atMs.toFixed(3)}\n`);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

const CHUNK_BYTES = 256 * 1024;

/** Follows a ledger while it grows; a line that is not whole yet is read later. */
export class LedgerReader {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(CHUNK_BYTES);
  #offset = 0;
  #rest = '';

  /** The file must exist: the drill creates it before the process that writes it. */
  constructor(path: string) {
    this.#fd = openSync(path, 'a+');
  }

  /** The lines since the last call. */
  read(): LedgerLine[] {
    const lines: LedgerLine[] = [];
    for (;;) {
      const size = readSync(this.#fd, this.#buffer, 0, CHUNK_BYTES, this.#offset);
      if (size === 0) return lines;
      this.#offset += size;
      const parts = (this.#rest + this.#buffer.toString('latin1', 0, size)).split('\n');
      this.#rest = parts.pop() ?? '';
      for (const part of parts) lines.push(parse(part));
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function parse(text: string): LedgerLine {
  const [eventId = '', entryId = '', word = '', atMs = ''] = text.split(' ');
  return { eventId, entryId, word, atMs: Number(atMs) };
}
