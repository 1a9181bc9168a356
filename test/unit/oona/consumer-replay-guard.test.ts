import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createKeyHash, type KeyHash, markOf } from '../../../src/oona/consumer/key-hash.ts';
import { GENERATION_NUMBERS, KeyTable } from '../../../src/oona/consumer/key-table.ts';
import { ReplayGuard } from '../../../src/oona/consumer/replay-guard.ts';
import { seededRandom } from '../../helpers/seeded.ts';

const test = suite('replay guard');
const guardOf = (capacity = 10, windowMs = 640): ReplayGuard =>
  new ReplayGuard({ capacity, windowMs, random: seededRandom(1) });

test('[R-O6] a key is handled after commit, not before: a retry of the same entry is new each time', () => {
  const guard = guardOf();
  assert.is(guard.begin('a', '1-0', 0), 'new');
  guard.hold('a', '1-0');
  assert.is(guard.begin('a', '1-0', 1), 'new');
  guard.commit('a', '1-0', 2);
  assert.is(guard.begin('a', '1-0', 3), 'redelivery');
  assert.is(guard.begin('a', '2-0', 3), 'replay');
});

test('[R-O6] another entry with an undecided key waits, and gets it when the first goes unhandled', () => {
  const guard = guardOf();
  guard.hold('a', '1-0');
  assert.is(guard.begin('a', '2-0', 0), 'busy');
  guard.release('a', '2-0');
  assert.is(guard.begin('a', '2-0', 0), 'busy');
  guard.release('a', '1-0');
  assert.is(guard.begin('a', '2-0', 0), 'new');
  guard.hold('a', '2-0');
  guard.commit('a', '1-0', 0);
  assert.is(guard.begin('a', '2-0', 0), 'new');
});

test('[R-O6] a full guard refuses and evicts nothing', () => {
  const guard = guardOf(2);
  guard.commit('a', '1-0', 0);
  guard.hold('b', '2-0');
  assert.ok(guard.isFull(0));
  assert.is(guard.begin('c', '3-0', 0), 'full');
  assert.is(guard.begin('a', '9-0', 0), 'replay');
  assert.is(guard.begin('b', '2-0', 0), 'new');
  guard.release('b', '2-0');
  assert.is(guard.begin('c', '3-0', 0), 'new');
  guard.hold('c', '3-0');
  assert.is(guard.size, 2);
});

test('[R-O6] keys stay for the whole window, and not much longer', () => {
  const guard = guardOf(3, 640);
  guard.begin('a', '1-0', 0);
  guard.commit('a', '1-0', 5);
  guard.begin('b', '2-0', 9);
  guard.commit('b', '2-0', 9);
  assert.is(guard.begin('b', '7-0', 648), 'replay');
  assert.is(guard.begin('a', '7-0', 648), 'replay');
  assert.is(guard.size, 2);
  assert.is(guard.begin('a', '7-0', 5 + 640 + 10), 'new');
  guard.commit('a', '7-0', 700);
  assert.is(guard.begin('a', '7-0', 701), 'redelivery');
  assert.not(guard.isFull(10_000));
  assert.is(guard.size, 0);
});

test('[R-O6] a committed key is not given away by a late release', () => {
  const guard = guardOf();
  guard.begin('a', '1-0', 0);
  guard.commit('a', '1-0', 0);
  guard.release('a', '1-0');
  assert.is(guard.begin('a', '2-0', 1), 'replay');
});

test('[R-O6] the table finds what has not expired and nothing else, as generations and rebuilds go by', () => {
  const hash = createKeyHash(seededRandom(7));
  const hashOf = (text: string): KeyHash => {
    const made = { high: 0, low: 0, rest: 0 };
    hash(text, made);
    return made;
  };
  const table = new KeyTable();
  const model = new Map<string, { readonly age: number; readonly mark: number }>();
  const random = seededRandom(3);
  const span = 64;
  for (let step = 0; step < 120_000; step++) {
    // Around the end of the numbers, several times.
    const generation = Math.floor(step / 40);
    const number = 1 + (generation % GENERATION_NUMBERS);
    const key = `event-${Math.floor(random() * 8000)}`;
    const known = model.get(key);
    const isKnown = known !== undefined && generation - known.age <= span;
    const at = table.find(hashOf(key), number, span);
    assert.is(at >= 0, isKnown);
    if (isKnown) assert.ok(table.isMarked(at, known.mark));
    if (!isKnown) {
      const mark = markOf(`${step}-0`);
      table.add(hashOf(key), mark, number, span);
      model.set(key, { age: generation, mark });
    }
    if (step % 9999 === 0) table.rebuild(number, span);
  }
});

test('[R-O6] many similar keys are told apart, and no key takes more than 28 bytes', () => {
  const guard = guardOf(400_000);
  for (let i = 0; i < 300_000; i++) {
    assert.is(guard.begin(`run-7/step-${i}`, `${i}-0`, 0), 'new');
    guard.commit(`run-7/step-${i}`, `${i}-0`, 0);
  }
  assert.is(guard.size, 300_000);
  assert.ok(guard.bytes / guard.size <= 28, `${guard.bytes / guard.size} bytes a key`);
  assert.is(guard.begin('run-7/step-99999', '99999-0', 1), 'redelivery');
  assert.is(guard.begin('run-7/step-99999', '99999-1', 1), 'replay');
});

test('[R-O6] an empty guard takes no memory to speak of, and gives back what a load has taken', () => {
  const guard = guardOf(100_000, 640);
  assert.is(guard.bytes, 0);
  for (let i = 0; i < 50_000; i++) guard.commit(`e-${i}`, `${i}-0`, 0);
  const loaded = guard.bytes;
  for (let ms = 0; ms < 4000; ms += 10) guard.commit(`later-${ms}`, '1-0', ms);
  assert.ok(guard.bytes < loaded / 5, `${loaded} bytes, then ${guard.bytes}`);
  assert.is(guard.size, 65);
});

test('[R-O6] a key that comes again in every window is known in each, for as long as generations are numbered', () => {
  const guard = guardOf(10, 640);
  for (let ms = 0; ms < 40_000; ms += 650) {
    assert.is(guard.begin('a', `${ms}-0`, ms), 'new');
    guard.commit('a', `${ms}-0`, ms);
    assert.is(guard.begin('a', '9-9', ms + 639), 'replay');
  }
});

test('[R-O6] no bit of the hash is left unused', () => {
  const hash = createKeyHash(seededRandom(5));
  const ones = new Array<number>(94).fill(0);
  const count = 4000;
  for (let i = 0; i < count; i++) {
    const made = { high: 0, low: 0, rest: 0 };
    hash(`seed-1/${i}`, made);
    for (let bit = 0; bit < 94; bit++) {
      const part = bit < 32 ? made.high : bit < 64 ? made.low : made.rest;
      ones[bit] = (ones[bit] ?? 0) + ((part >>> (bit % 32)) & 1);
    }
  }
  for (const [bit, times] of ones.entries()) {
    assert.ok(Math.abs(times / count - 0.5) < 0.05, `bit ${bit} is set in ${times} of ${count}`);
  }
});

test.run();
