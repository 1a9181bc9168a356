import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { commandHead, encodeCommand, wireText } from '../../../src/oona/transport/redis-wire.ts';

const test = suite('oona redis wire');

/** A slow, plain reader of the protocol. */
function decode(wire: Buffer): Buffer[] {
  let at = 0;
  const line = (): string => {
    const end = wire.indexOf('\r\n', at);
    const text = wire.toString('latin1', at, end);
    at = end + 2;
    return text;
  };
  const count = Number(line().slice(1));
  const args = Array.from({ length: count }, () => {
    const length = Number(line().slice(1));
    const arg = wire.subarray(at, at + length);
    assert.is(wire.toString('latin1', at + length, at + length + 2), '\r\n');
    at += length + 2;
    return arg;
  });
  assert.is(at, wire.length);
  return args;
}

test('[R-O1] encodes texts and bytes, neighbours of each kind, empty and not ASCII', () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }));
  const bytes = fc.uint8Array({ maxLength: 40 });
  fc.assert(
    fc.property(fc.array(fc.oneof(text, bytes), { minLength: 1, maxLength: 9 }), (args) => {
      const wire = encodeCommand(args.map((arg) => (typeof arg === 'string' ? wireText(arg) : arg)));
      const decoded = decode(wire);
      assert.is(decoded.length, args.length);
      for (const [i, arg] of args.entries()) {
        const expected = typeof arg === 'string' ? Buffer.from(arg, 'utf8') : Buffer.from(arg);
        assert.ok(decoded[i]?.equals(expected), `argument ${i}`);
      }
    }),
  );
});

test('[R-O1] a head encoded before is the beginning of the command', () => {
  const head = commandHead(['EVALSHA', '', '2']);
  for (const args of [[], ['key', Buffer.from([0, 255])]]) {
    assert.equal(encodeCommand(args, head), encodeCommand(['EVALSHA', '', '2', ...args]));
  }
});

test('[R-O1] a text that is not made single-byte goes out one byte per character', () => {
  assert.equal(decode(encodeCommand(['é']))[0], Buffer.from([0xe9]));
  assert.equal(decode(encodeCommand([wireText('é')]))[0], Buffer.from([0xc3, 0xa9]));
});

test.run();
