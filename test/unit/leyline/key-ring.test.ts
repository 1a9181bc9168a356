import { createHmac } from 'node:crypto';
import { inspect } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { OptionError } from '../../../src/core/errors.ts';
import { LeylineError, SignatureError } from '../../../src/leyline/errors.ts';
import { createKeyRing, type KeyRingOptions } from '../../../src/leyline/key-ring.ts';
import { codeOf, thrownBy } from '../../fixtures/leyline/thrown.ts';

const test = suite('leyline key ring');
const OLD = 'old-secret-0123456789';
const NEW = 'new-secret-ü-0123456789';
const payload = Buffer.from('the bytes that are signed');

test('[R-O1] a signature is the padded base64 of HMAC-SHA256 keyed by the UTF-8 secret', () => {
  const expected = createHmac('sha256', Buffer.from(NEW, 'utf8')).update(payload).digest('base64');
  const ring = createKeyRing({ current: { id: 'new', secret: NEW } });
  assert.is(ring.sign(payload), expected);
  assert.is(ring.verify(payload, expected), 'new');
});

test('[R-O1] HMAC-SHA256 as Node makes it is verified, whatever the sizes of secret and payload', () => {
  for (const secretBytes of [16, 63, 64, 65, 200]) {
    const secret = 's'.repeat(secretBytes);
    const other = createKeyRing({ current: { secret: `${secret.slice(1)}x` } });
    const ring = createKeyRing({ current: { secret } });
    for (const size of [1, 55, 64, 300, 16_383, 16_384, 16_385, 70_000, 2]) {
      const payload = Buffer.alloc(size, size & 0xff);
      const signature = createHmac('sha256', secret).update(payload).digest('base64');
      assert.is(ring.verify(payload, signature), ring.currentKeyId);
      // The first of a turn of the event loop is made another way than the next.
      for (let time = 0; time < 3; time++) assert.is(ring.sign(payload), signature);
      assert.is(
        codeOf(() => other.verify(payload, signature)),
        'ESPER_LEYLINE_SIGNATURE_MISMATCH',
      );
    }
  }
});

test('[R-O1] every signature of a burst and of later turns of the event loop is its own', async () => {
  const ring = createKeyRing({ current: { secret: NEW } });
  const expect = (text: string): void => {
    const mac = createHmac('sha256', Buffer.from(NEW, 'utf8')).update(text).digest('base64');
    assert.is(ring.sign(Buffer.from(text)), mac);
  };
  for (let turn = 0; turn < 4; turn++) {
    for (let i = 0; i < 3; i++) expect(`payload ${turn}.${i}`);
    // What is no payload costs no later one its signature.
    assert.throws(() => ring.sign('text' as never) === ring.sign(7 as never));
    await new Promise((resolve) => setImmediate(resolve));
  }
});

test('[R-O1] rotation: previous keys verify and are named, the current one signs', () => {
  const before = createKeyRing({ current: { id: 'old', secret: OLD } });
  const during = createKeyRing({
    current: { id: 'new', secret: NEW },
    previous: [{ id: 'old', secret: OLD }],
  });
  const after = createKeyRing({ current: { id: 'new', secret: NEW } });
  assert.equal(during.keyIds, ['new', 'old']);
  assert.is(during.verify(payload, before.sign(payload)), 'old');
  assert.is(during.verify(payload, during.sign(payload)), 'new');
  assert.is(after.verify(payload, during.sign(payload)), 'new');
});

test('[R-O1] a removed key is refused', () => {
  const before = createKeyRing({ current: { id: 'old', secret: OLD } });
  const after = createKeyRing({ current: { id: 'new', secret: NEW } });
  assert.is(
    codeOf(() => after.verify(payload, before.sign(payload))),
    'ESPER_LEYLINE_SIGNATURE_MISMATCH',
  );
});

test('[R-O1] key ids that are not given are the same in every process that shares the secret', () => {
  const one = createKeyRing({ current: { secret: NEW }, previous: [{ secret: OLD }] });
  const two = createKeyRing({ current: { secret: OLD } });
  assert.match(one.currentKeyId, /^[0-9a-f]{12}$/);
  assert.is(one.keyIds[1], two.currentKeyId);
  assert.is.not(one.currentKeyId, two.currentKeyId);
});

test('[R-O1] one changed bit anywhere in payload or signature is refused', () => {
  const ring = createKeyRing({ current: { secret: NEW }, previous: [{ secret: OLD }] });
  const signature = ring.sign(payload);
  for (let bit = 0; bit < payload.length * 8; bit++) {
    const altered = Buffer.from(payload);
    altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.is(
      codeOf(() => ring.verify(altered, signature)),
      'ESPER_LEYLINE_SIGNATURE_MISMATCH',
    );
  }
  for (let bit = 0; bit < 256; bit++) {
    const mac = Buffer.from(signature, 'base64');
    mac[bit >> 3] = (mac[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.is(
      codeOf(() => ring.verify(payload, mac.toString('base64'))),
      'ESPER_LEYLINE_SIGNATURE_MISMATCH',
    );
  }
});

test('[R-O1] only the canonical, padded, standard base64 of 32 bytes is a signature', () => {
  const ring = createKeyRing({ current: { secret: NEW } });
  const good = ring.sign(payload);
  // The last digit before the padding has two unused bits; Buffer.from would read these as the same 32 bytes.
  const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  const sloppy = `${good.slice(0, 42)}${digits[digits.indexOf(good[42] ?? '') + 1]}=`;
  assert.equal(Buffer.from(sloppy, 'base64'), Buffer.from(good, 'base64'));
  const bad = [
    sloppy,
    good.slice(0, 43),
    `${good}=`,
    ` ${good}`,
    `${good}\n`,
    `${good.slice(0, 43)}\n`,
    `-_${good.slice(2)}`,
    '=',
    'A'.repeat(44),
    'A'.repeat(10_000_000),
  ];
  for (const signature of bad) {
    const error = thrownBy(() => ring.verify(payload, signature));
    assert.instance(error, SignatureError);
    assert.is(error.code, 'ESPER_LEYLINE_SIGNATURE_MALFORMED', JSON.stringify(signature.slice(0, 60)));
    assert.ok(error.message.length < 200);
  }
});

test('[R-O1] other characters are no signature, even those of which UTF-8 or one byte each would leave a good one', () => {
  const ring = createKeyRing({ current: { secret: NEW } });
  const good = ring.sign(payload);
  const upper = (at: number): string =>
    good.slice(0, at) + String.fromCharCode(good.charCodeAt(at) + 0x100) + good.slice(at + 1);
  const bad = [`${good.slice(0, 43)}€`, `${good.slice(0, 42)}€€`, `é${good.slice(1)}`, upper(0), upper(43)];
  for (const signature of [...bad, '\ud83d'.repeat(44)]) {
    assert.is(ring.verify(payload, good), ring.currentKeyId);
    assert.is(
      codeOf(() => ring.verify(payload, signature)),
      'ESPER_LEYLINE_SIGNATURE_MALFORMED',
    );
  }
});

test('[R-O1] no signature is its own error', () => {
  const ring = createKeyRing({ current: { secret: NEW } });
  for (const none of ['', undefined, null]) {
    assert.is(
      codeOf(() => ring.verify(payload, none as string)),
      'ESPER_LEYLINE_SIGNATURE_MISSING',
    );
  }
});

test('[R-O1][R-W1] nothing that shows a key ring shows a secret', () => {
  const ring = createKeyRing({ current: { id: 'new', secret: NEW }, previous: [{ id: 'old', secret: OLD }] });
  const shown = [
    String(ring),
    `${ring}`,
    JSON.stringify(ring),
    JSON.stringify({ ring }),
    inspect(ring),
    inspect({ deep: { ring } }, { depth: Infinity, showHidden: true, getters: true }),
    inspect(ring, { customInspect: false, depth: Infinity, showHidden: true, getters: true }),
    inspect(structuredClone(ring), { depth: Infinity }),
    inspect(Object.getOwnPropertyDescriptors(ring), { depth: Infinity }),
    inspect(thrownBy(() => ring.verify(payload, `${'A'.repeat(43)}=`))),
  ].join('\n');
  assert.match(shown, /new/);
  for (const secret of [OLD, NEW]) {
    const bytes = Buffer.from(secret, 'utf8');
    const texts = (['utf8', 'latin1', 'hex', 'base64'] as const).map((form) => bytes.toString(form));
    const dumps = [
      [...bytes].join(','),
      [...bytes].join(', '),
      [...bytes].map((b) => b.toString(16)).join(' '),
    ];
    for (const form of [...texts, ...dumps])
      assert.not.ok(shown.includes(form), `a secret is shown as ${form}`);
  }
});

const refused: readonly [string, KeyRingOptions][] = [
  ['too short', { current: { secret: 'hunter2' } }],
  ['one byte below the minimum', { current: { secret: 'hunter2-345' }, minSecretLength: 12 }],
  ['empty', { current: { secret: '' }, minSecretLength: 1 }],
  ['a lone surrogate', { current: { secret: `hunter2-${'x'.repeat(20)}\ud800` } }],
  ['short among the previous', { current: { secret: NEW }, previous: [{ secret: 'hunter2' }] }],
  ['with a bad id', { current: { id: 'a b', secret: 'hunter2-0123456789' } }],
  [
    'with an id that is taken',
    { current: { id: 'k', secret: NEW }, previous: [{ id: 'k', secret: 'hunter2-0123456789' }] },
  ],
];

for (const [what, options] of refused) {
  test(`[R-O1] a secret that is ${what} is refused by an error that does not contain it`, () => {
    const error = thrownBy(() => createKeyRing(options));
    assert.instance(error, LeylineError);
    assert.is(error.code, 'ESPER_LEYLINE_KEY_INVALID');
    assert.not.match(inspect(error, { depth: Infinity, showHidden: true }), /hunter2/);
  });
}

test('[R-O1] the minimum length counts UTF-8 bytes and includes itself', () => {
  const eightByFour = '😀'.repeat(4);
  assert.ok(createKeyRing({ current: { secret: eightByFour } }).sign(payload));
  assert.ok(createKeyRing({ current: { secret: 'x' }, minSecretLength: 1 }).sign(payload));
});

test('[R-O1] a secret that is listed twice counts once', () => {
  const ring = createKeyRing({ current: { id: 'a', secret: NEW }, previous: [{ id: 'b', secret: NEW }] });
  assert.equal(ring.keyIds, ['a']);
});

test('[R-O1] unknown options and counts out of range are refused', () => {
  const previous = Array.from({ length: 16 }, (_, i) => ({ secret: `${OLD}-${i}` }));
  assert.instance(
    thrownBy(() => createKeyRing({ current: { secret: NEW }, previous })),
    OptionError,
  );
  assert.instance(
    thrownBy(() => createKeyRing({ current: { secret: NEW }, minSecretLength: 0 })),
    OptionError,
  );
  const typo = { current: { secret: NEW }, previus: [] } as unknown as KeyRingOptions;
  assert.match(thrownBy(() => createKeyRing(typo)).message, /did you mean "previous"/);
});

test.run();
