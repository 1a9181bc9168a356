import { Command } from 'ioredis';

/** The first arguments of a command that is sent again and again, encoded once. */
export interface CommandHead {
  readonly count: number;
  readonly text: string;
}

/** Texts as `encodeCommand` takes them. */
export function commandHead(args: readonly string[]): CommandHead {
  return { count: args.length, text: args.map(bulkText).join('') };
}

function bulkText(text: string): string {
  return `$${text.length}\r\n${text}\r\n`;
}

const NO_HEAD = commandHead([]);

/**
 * A command in Redis's own protocol, in one buffer. Texts are one byte per character (`wireText` makes them so):
 * their length is then known without a look at each, a good part of what this saves.
 */
export function encodeCommand(args: readonly (string | Uint8Array)[], head = NO_HEAD): Buffer {
  // Neighbouring texts become one piece: writing each for itself costs more than joining them.
  const pieces: (string | Uint8Array)[] = [];
  let text = `*${head.count + args.length}\r\n${head.text}`;
  let size = 0;
  for (const arg of args) {
    if (typeof arg === 'string') {
      text += bulkText(arg);
    } else {
      text += `$${arg.length}\r\n`;
      pieces.push(text, arg);
      size += text.length + arg.length;
      text = '\r\n';
    }
  }
  pieces.push(text);
  const buffer = Buffer.allocUnsafe(size + text.length);
  let offset = 0;
  for (const piece of pieces) {
    if (typeof piece === 'string') buffer.write(piece, offset, 'latin1');
    else buffer.set(piece, offset);
    offset += piece.length;
  }
  return buffer;
}

/** `text` as UTF-8 in one character per byte, which is what the rest of Redis's clients make of it. */
export function wireText(text: string): string {
  return /[^\0-\x7f]/.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
}

/**
 * A command that is already encoded and answers to callbacks. For an emergency alone on a quiet host, what ioredis
 * does per command beyond writing and reading (copies for its tracing channel, which Node 20 always counts as
 * subscribed, encodings, two promises) takes as long as Redis itself.
 */
export class WireCommand extends Command {
  readonly #wire: Buffer;

  constructor(
    name: string,
    wire: Buffer,
    onReply: (reply: unknown) => void,
    onError: (error: Error) => void,
  ) {
    super(name, [], { replyEncoding: null });
    this.#wire = wire;
    // Already traced means: not to be traced.
    this.isTraced = true;
    this.resolve = onReply;
    this.reject = onError;
  }

  override toWritable(): Buffer {
    return this.#wire;
  }
}
