/** What messages and envelopes are read with: as protobufjs does, with unknown fields kept and less spent on text. */
import protobuf from 'protobufjs/minimal.js';

/** Up to here protobufjs's loop is faster than a call out of JavaScript. */
const LOOP_BYTES = 20;

/** Undefined when the bytes may be no UTF-8: either the text has U+FFFD itself, or it stands for what was none. */
export function textAt(bytes: Buffer, start: number, end: number): string | undefined {
  const text = bytes.toString('utf8', start, end);
  return text.includes('\ufffd') ? undefined : text;
}

/** Keeps unknown fields, and reads strings at the cost of one call each. */
class WireReader extends protobuf.BufferReader {
  constructor(bytes: Buffer) {
    super(bytes);
    this.discardUnknown = false;
  }

  /** Refuses what is no UTF-8, like the one it overrides. */
  override stringVerify(): string {
    const { pos: before } = this;
    const length = this.size();
    const start = this.pos;
    const end = start + length;
    if (length > LOOP_BYTES && end <= this.len) {
      const text = textAt(this.buf as Buffer, start, end);
      if (text !== undefined) {
        this.pos = end;
        return text;
      }
    }
    this.pos = before;
    return super.stringVerify();
  }
}

/** What decodes `bytes` of any message. */
export function readerOf(bytes: Uint8Array): protobuf.Reader {
  if (Buffer.isBuffer(bytes)) return new WireReader(bytes);
  const reader = protobuf.Reader.create(bytes);
  reader.discardUnknown = false;
  return reader;
}
