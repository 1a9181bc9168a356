import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cutUtf8, utf8SizeBytes, wellFormed } from '../../src/native/strings.ts';

const test = suite('record strings');

test('[BAD-reason-nul] every NUL is replaced', () => {
  assert.is(wellFormed('\0a\0\0b'), '\ufffda\ufffd\ufffdb');
});

test('[BAD-reason-split-surrogate] lone halves are replaced, pairs are kept', () => {
  assert.is(wellFormed('\ud83d'), '\ufffd');
  assert.is(wellFormed('\udd25\ud83d'), '\ufffd\ufffd');
  assert.is(wellFormed('a\ud83d\u{1f525}\udd25'), 'a\ufffd\u{1f525}\ufffd');
  assert.is(wellFormed('\u{1f525}é'), '\u{1f525}é');
});

test('[BAD-reason-10kb] a cut never splits a code point and wastes less than one', () => {
  const text = 'a\u00e9\u20ac\u{1f525}'.repeat(1024);
  for (let max = 0; max <= 64; max++) {
    const cut = cutUtf8(text, max);
    assert.ok(text.startsWith(cut));
    assert.is(wellFormed(cut), cut, 'well formed');
    assert.ok(utf8SizeBytes(cut) <= max);
    const next = String.fromCodePoint(text.codePointAt(cut.length) ?? 0);
    assert.ok(utf8SizeBytes(cut + next) > max, 'one more would not fit');
  }
  assert.is(utf8SizeBytes(cutUtf8('x'.repeat(10_240), 384)), 384);
});

test('[R-F9] what fits is returned as it is', () => {
  assert.is(cutUtf8('\u20ac\u20ac', 6), '\u20ac\u20ac');
  assert.is(cutUtf8('', 0), '');
});

test.run();
