import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createKeyHash, type KeyHash, KeyTable } from '../../../src/oona/consumer/key-table.ts';
import { ReplayGuard } from '../../../src/oona/consumer/replay-guard.ts';
import { seededRandom } from '../../helpers/seeded.ts';

const test = suite('replay guard');
const guardOf = (capacity = 10, windowMs = 640): ReplayGuard =>
  new ReplayGuard({ capacity, windowMs, random: seededRandom(1) });

test('[R-O6] a key is handled after commit, not before: a retry of the same entry is new each time', () => {
  const guard = guardOf();
  assert.is(guard.begin('a', '1-0', 0), 'new');
  assert.is(guard.begin('a', '1-0', 1), 'new');
  guard.commit('a', '1-0', 2);
  assert.is(guard.begin('a', '1-0', 3), 'redelivery');
  assert.is(guard.begin('a', '2-0', 3), 'replay');
});

test('[R-O6] another entry with an undecided key waits, and gets it when the first goes unhandled', () => {
  const guard = guardOf();
  guard.begin('a', '1-0', 0);
  assert.is(guard.begin('a', '2-0', 0), 'busy');
  guard.release('a', '2-0');
  assert.is(guard.begin('a', '2-0', 0), 'busy');
  guard.release('a', '1-0');
  assert.is(guard.begin('a', '2-0', 0), 'new');
  guard.commit('a', '1-0', 0);
  assert.is(guard.begin('a', '2-0', 0), 'new');
});

test('[R-O6] a full guard refuses and evicts nothing', () => {
  const guard = guardOf(2);
  guard.begin('a', '1-0', 0);
  guard.commit('a', '1-0', 0);
  guard.begin('b', '2-0', 0);
  assert.ok(guard.isFull(0));
  assert.is(guard.begin('c', '3-0', 0), 'full');
  assert.is(guard.begin('a', '9-0', 0), 'replay');
  assert.is(guard.begin('b', '2-0', 0), 'new');
  guard.release('b', '2-0');
  assert.is(guard.begin('c', '3-0', 0), 'new');
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

test('[R-O6] the table finds what is in it and nothing else, through growth and removals', () => {
  const hash = createKeyHash(seededRandom(7));
  const hashOf = (text: string): KeyHash => {
    const made = { high: 0, low: 0 };
    hash(text, made);
    return made;
  };
  const table = new KeyTable();
  const model = new Map<string, number>();
  const random = seededRandom(3);
  for (let step = 0; step < 60_000; step++) {
    const key = `event-${Math.floor(random() * 8000)}`;
    const known = model.get(key);
    const slot = table.find(hashOf(key));
    assert.is(slot >= 0, known !== undefined);
    if (known !== undefined) assert.ok(table.isEntry(slot, known, 1));
    if (known !== undefined && random() < 0.6) {
      table.remove(hashOf(key));
      model.delete(key);
    } else if (known === undefined) {
      table.add(hashOf(key), step, 1);
      model.set(key, step);
    }
  }
  assert.is(table.size, model.size);
  for (const [key, step] of model) assert.ok(table.isEntry(table.find(hashOf(key)), step, 1));
});

test('[R-O6] many similar keys are told apart', () => {
  const guard = guardOf(200_000);
  for (let i = 0; i < 100_000; i++) {
    assert.is(guard.begin(`run-7/step-${i}`, `${i}-0`, 0), 'new');
    guard.commit(`run-7/step-${i}`, `${i}-0`, 0);
  }
  assert.is(guard.size, 100_000);
  assert.is(guard.begin('run-7/step-99999', '99999-0', 1), 'redelivery');
  assert.is(guard.begin('run-7/step-99999', '99999-1', 1), 'replay');
});

test.run();
