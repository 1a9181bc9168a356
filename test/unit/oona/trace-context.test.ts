import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  formatTraceparent,
  formatTracestate,
  givenTrace,
  isTraceparent,
  parseTraceparent,
  parseTracestate,
  receivedTrace,
} from '../../../src/oona/trace-context.ts';
import { bytesPerCall } from '../../helpers/allocation.ts';

const test = suite('trace context');

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';
const good = `00-${traceId}-${spanId}-01`;
const isOptionError = (error: { code?: string }): boolean => error.code === 'ESPER_OPTION_INVALID';

test('[R-X3] a traceparent is read and written as it was', () => {
  assert.equal(parseTraceparent(good), { traceId, spanId, flags: 1 });
  assert.is(formatTraceparent({ traceId, spanId, flags: 1 }), good);
  assert.is(formatTraceparent({ traceId, spanId, flags: 0 }), `00-${traceId}-${spanId}-00`);
});

test('[R-X3] flags that nobody knows are not passed on; the random flag of level 2 is', () => {
  assert.is(parseTraceparent(`00-${traceId}-${spanId}-ff`)?.flags, 3);
  assert.is(parseTraceparent(`00-${traceId}-${spanId}-02`)?.flags, 2);
  assert.is(formatTraceparent({ traceId, spanId, flags: 0xfd }), good);
});

test('[R-X3] a later version is read by its beginning and written as version 00', () => {
  for (const later of [
    `01-${traceId}-${spanId}-01`,
    `cc-${traceId}-${spanId}-01-more`,
    `fe-${traceId}-${spanId}-01-`,
  ]) {
    assert.equal(parseTraceparent(later), { traceId, spanId, flags: 1 }, later);
  }
  assert.is(parseTraceparent(`cc-${traceId}-${spanId}-01more`), undefined);
  assert.is(parseTraceparent(`cc-${traceId}-${spanId}-01-${'x'.repeat(600)}`), undefined);
});

const bad: Record<string, string> = {
  empty: '',
  'version ff': `ff-${traceId}-${spanId}-01`,
  'upper case': good.toUpperCase(),
  'one digit short': good.slice(0, -1),
  'one digit long': `${good}0`,
  'more fields in version 00': `${good}-01`,
  'space before': ` ${good}`,
  'line end after': `${good}\n`,
  'trace id of zeros': `00-${'0'.repeat(32)}-${spanId}-01`,
  'span id of zeros': `00-${traceId}-${'0'.repeat(16)}-01`,
  'letter beyond f': `00-${traceId.slice(1)}g-${spanId}-01`,
  'underscores for dashes': good.replaceAll('-', '_'),
  'wide digits': `00-${traceId.slice(1)}\uff11-${spanId}-01`,
  'one megabyte': good.repeat(20_000),
};
for (const [what, text] of Object.entries(bad)) {
  test(`[R-X3] what is no traceparent begins the trace anew: ${what}`, () => {
    assert.is(parseTraceparent(text), undefined);
    assert.is(receivedTrace(text, 'a=1'), undefined);
    assert.throws(() => givenTrace(text, undefined), isOptionError);
  });
}

test('[R-X3] any ids survive the way there and back, and nothing that was written is refused', () => {
  const hex = (length: number): fc.Arbitrary<string> =>
    fc
      .array(fc.constantFrom(...'0123456789abcdef'), { minLength: length, maxLength: length })
      .map((digits) => digits.join(''))
      .filter((text) => /[^0]/.test(text));
  fc.assert(
    fc.property(hex(32), hex(16), fc.integer({ min: 0, max: 3 }), (trace, span, flags) => {
      const parent = { traceId: trace, spanId: span, flags };
      assert.equal(parseTraceparent(formatTraceparent(parent)), parent);
    }),
  );
});

test('[R-X3] no text makes reading throw', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      parseTraceparent(text);
      parseTracestate(text);
      receivedTrace(good, text);
    }),
  );
});

test('[R-X3] ids that no traceparent may have are not written', () => {
  for (const parent of [
    { traceId: '0'.repeat(32), spanId, flags: 1 },
    { traceId, spanId: '', flags: 1 },
    { traceId: `${traceId}0`, spanId, flags: 1 },
  ]) {
    assert.throws(() => formatTraceparent(parent), isOptionError);
  }
});

const parsed = (text: string): string | undefined =>
  parseTracestate(text)
    ?.map(({ key, value }) => `${key}:${value}`)
    .join(' ');

test('[R-X3] a tracestate is read in order, without empty members and the space around them', () => {
  assert.is(parsed('rojo=00f067aa0ba902b7,congo=t61rcWkgMzE'), 'rojo:00f067aa0ba902b7 congo:t61rcWkgMzE');
  assert.is(parsed(' a=1 ,\t,b=2\t,'), 'a:1 b:2');
  assert.is(parsed(''), '');
  assert.is(parsed('fw529a3039@dt=x,0=y,a_-*/z=~'), 'fw529a3039@dt:x 0:y a_-*/z:~');
  assert.equal(parseTracestate('a=  1'), [{ key: 'a', value: '  1' }], 'leading space is part of the value');
});

for (const [what, text] of Object.entries({
  'a key twice': 'a=1,b=2,a=3',
  'no value': 'a=',
  'no key': '=1',
  'no equals sign': 'a',
  'two equals signs': 'a=1=2',
  'upper case in a key': 'A=1',
  'a key that begins with an underscore': '_a=1',
  'a control character': 'a=\u0001',
  'a letter that is not ASCII': 'a=é',
  'space between key and equals sign': 'a =1',
  'a key of 257 characters': `${'a'.repeat(257)}=1`,
  'a value of 257 characters': `a=${'1'.repeat(257)}`,
  '33 members': Array.from({ length: 33 }, (_, i) => `k${i}=1`).join(','),
  'more than any may be': `a=${'1'.repeat(200)},`.repeat(1000),
})) {
  test(`[R-X3] a malformed tracestate is dropped, and the traceparent stays: ${what}`, () => {
    assert.is(parseTracestate(text), undefined);
    assert.equal(receivedTrace(good, text), { traceparent: good });
    assert.throws(() => givenTrace(good, text), isOptionError);
  });
}

test('[R-X3] at the limits a tracestate is accepted', () => {
  assert.is(parseTracestate(Array.from({ length: 32 }, (_, i) => `k${i}=1`).join(','))?.length, 32);
  assert.is(parseTracestate(`${'a'.repeat(256)}=${'1'.repeat(256)}`)?.length, 1);
});

test('[R-X3] too long a tracestate loses whole members: large ones first, then from the end', () => {
  const member = (key: string, length: number) => ({ key, value: 'x'.repeat(length - key.length - 1) });
  const small = Array.from({ length: 5 }, (_, i) => member(`s${i}`, 99));
  const keys = (text: string): string => (parseTracestate(text) ?? []).map(({ key }) => key).join(' ');
  assert.is(formatTracestate(small).length, 5 * 99 + 4);
  assert.is(keys(formatTracestate([member('large', 129), ...small])), 's0 s1 s2 s3 s4');
  assert.is(keys(formatTracestate([member('just', 128), ...small])), 'just s0 s1 s2');
  const large = ['a', 'b', 'c'].map((key) => member(key, 250));
  assert.is(keys(formatTracestate(large)), 'a b', 'no more of them than needed');
  assert.is(formatTracestate([]), '');
});

test('[R-X3] what was written is never longer than 512 characters and always readable', () => {
  const member = fc.record({
    key: fc.stringMatching(/^[a-z0-9][a-z0-9_\-*/@]{0,40}$/),
    value: fc.stringMatching(/^[\x21-\x2b\x2d-\x3c\x3e-\x7e]{1,200}$/),
  });
  fc.assert(
    fc.property(fc.uniqueArray(member, { maxLength: 32, selector: ({ key }) => key }), (members) => {
      const text = formatTracestate(members);
      assert.ok(text.length <= 512);
      const kept = parseTracestate(text) ?? [];
      const order = kept.map(({ key }) => members.findIndex((each) => each.key === key));
      assert.equal(
        order,
        [...order].sort((a, b) => a - b),
      );
    }),
  );
});

test('[R-X3] a caller may give nothing, a parent, or both', () => {
  assert.is(givenTrace(undefined, undefined), undefined);
  assert.equal(givenTrace(good, undefined), { traceparent: good });
  assert.equal(givenTrace(good, ''), { traceparent: good }, 'an empty state is not sent');
  assert.equal(givenTrace(good, 'a=1'), { traceparent: good, tracestate: 'a=1' });
  assert.throws(() => givenTrace(undefined, 'a=1'), isOptionError);
});

test('[R-X3] a message without a trace costs nothing, and checking one allocates nothing', () => {
  assert.ok(bytesPerCall(() => receivedTrace(undefined, undefined)) < 4);
  assert.ok(bytesPerCall(() => isTraceparent(good)) < 4);
});

test.run();
