/** Where messages and envelopes are written: one buffer for all, because a fresh one each costs as much as the writing. */
import protobuf from 'protobufjs/minimal.js';

/** Room in front of a message for its envelope's head: two tags and two varints of up to five bytes. */
export const HEAD_ROOM = 12;

const FIRST_SIZE = 4096;
/** A buffer that one large message made larger than this is not kept for the next. */
const KEPT_SIZE = 65_536;
/** Up to here a loop is faster than a call out of JavaScript. */
const LOOP_LENGTH = 16;
/** A varint below this is one byte. */
const CONTINUES = 0x80;

/**
 * protobufjs writes a lone surrogate (a reason that was cut inside a character) as bytes that are no UTF-8: every
 * receiver would refuse the whole message, and with it the emergency. It is sent as U+FFFD instead.
 */
export class WireWriter extends protobuf.BufferWriter {
  declare buf: Buffer;

  constructor() {
    super();
    this.buf = Buffer.allocUnsafeSlow(FIRST_SIZE);
    this.pos = HEAD_ROOM;
  }

  override uint32(value: number): protobuf.Writer {
    const { buf, pos } = this;
    if (!(value >= 0 && value < CONTINUES) || pos >= buf.length) return super.uint32(value);
    buf[pos] = value;
    this.pos = pos + 1;
    return this;
  }

  override string(value: string): protobuf.Writer {
    const { buf, pos } = this;
    const { length } = value;
    if (length >= CONTINUES || pos + 1 + 3 * length > buf.length) return super.string(value.toWellFormed());
    const start = pos + 1;
    let written = 0;
    if (length <= LOOP_LENGTH) {
      while (written < length) {
        const unit = value.charCodeAt(written);
        if (unit >= CONTINUES) return super.string(value.toWellFormed());
        buf[start + written++] = unit;
      }
    } else {
      written = buf.write(value, start, 'utf8');
      if (written !== length) return super.string(value.toWellFormed());
    }
    buf[pos] = written;
    this.pos = start + written;
    return this;
  }
}

let idle: WireWriter | undefined;

/**
 * A writer that stands at HEAD_ROOM. Whoever throws instead of calling `takeBytes` just leaves it behind; whoever is
 * called while another writes (from a getter of a message) gets one of its own.
 */
export function startWriting(): WireWriter {
  const writer = idle ?? new WireWriter();
  idle = undefined;
  return writer;
}

/** What was written from `start` on, as bytes of its own. The writer must not be used afterwards. */
export function takeBytes(writer: WireWriter, start: number): Uint8Array {
  const { buf, pos } = writer;
  // Nobody writes into it again: no copy.
  if (buf.length > KEPT_SIZE) return buf.subarray(start, pos);
  const bytes = Buffer.allocUnsafe(pos - start);
  buf.copy(bytes, 0, start, pos);
  writer.pos = HEAD_ROOM;
  idle = writer;
  return bytes;
}
