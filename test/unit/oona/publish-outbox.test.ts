import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Outbox, type OutboxDrop, type WaitingMessage } from '../../../src/oona/publish/outbox.ts';

/** FC_SEED repeats a run. */
const seed = Number(process.env.FC_SEED ?? Date.now() % 2 ** 31);
console.log(`fast-check seed ${seed} (repeat with FC_SEED=${seed})`);

const test = suite('outbox');
let made = 0;
const waiting = (bytes: number): WaitingMessage => {
  made += 1;
  const entry = { payload: new Uint8Array(bytes), signature: '' };
  return { role: 'normal', to: 'normal', stream: 's', dedupId: String(made), entry, acceptedAtMs: 0 };
};

test('[R-O1] first in, first out; beyond the count the oldest goes', () => {
  const dropped: string[] = [];
  const outbox = new Outbox({ maxMessages: 2, maxBytes: 1000 }, ({ dedupId }, cause) =>
    dropped.push(`${dedupId} ${cause}`),
  );
  const [a, b, c] = [waiting(1), waiting(1), waiting(1)];
  for (const message of [a, b, c]) assert.ok(outbox.push(message));
  assert.equal(dropped, [`${a.dedupId} overflow`]);
  assert.equal([outbox.take(), outbox.take(), outbox.take()], [b, c, undefined]);
});

test('[R-O1] beyond the bytes as many of the oldest go as must; what fits nowhere goes itself', () => {
  const dropped: OutboxDrop[] = [];
  const outbox = new Outbox({ maxMessages: 100, maxBytes: 100 }, (_, cause) => dropped.push(cause));
  for (let i = 0; i < 4; i++) outbox.push(waiting(25));
  assert.is(outbox.fill, 1);
  outbox.push(waiting(50));
  assert.equal([outbox.waiting, outbox.waitingBytes, dropped], [3, 100, ['overflow', 'overflow']]);
  assert.not(outbox.push(waiting(101)));
  assert.equal([outbox.waiting, dropped.at(-1)], [3, 'too-large']);
});

test('[R-O1] what is put back is the oldest again, and goes first when the outbox filled meanwhile', () => {
  const dropped: string[] = [];
  const outbox = new Outbox({ maxMessages: 2, maxBytes: 1000 }, ({ dedupId }) => dropped.push(dedupId));
  const [a, b, c] = [waiting(1), waiting(1), waiting(1)];
  outbox.push(a);
  outbox.push(b);
  assert.is(outbox.take(), a);
  outbox.putBack(a);
  assert.is(outbox.take(), a);
  outbox.push(c);
  assert.equal(dropped, [b.dedupId], 'the place of what is being published is kept');
  outbox.putBack(a);
  assert.equal([outbox.take(), outbox.take()], [a, c]);
});

const operation = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ op: fc.constant('push' as const), bytes: fc.integer({ min: 1, max: 120 }) }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('take' as const) }) },
  ...(['published', 'duplicate', 'refused', 'putBack'] as const).map((op) => ({
    weight: 1,
    arbitrary: fc.record({ op: fc.constant(op) }),
  })),
);

test('[R-O1] accepted = published + duplicates + dropped + waiting, after any operations, within both limits, in order', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
      let told = 0;
      const outbox = new Outbox({ maxMessages: 8, maxBytes: 300 }, () => {
        told += 1;
      });
      const taken: WaitingMessage[] = [];
      let last = 0;
      for (const step of operations) {
        if (step.op === 'push') outbox.push(waiting(step.bytes));
        else if (step.op === 'take') {
          // One at a time, as the flusher does.
          const message = taken.length > 0 ? undefined : outbox.take();
          if (message !== undefined) {
            assert.ok(Number(message.dedupId) > last, 'in order');
            taken.push(message);
          }
        } else {
          const message = taken.pop();
          if (message === undefined) continue;
          if (step.op === 'putBack') outbox.putBack(message);
          else {
            last = Number(message.dedupId);
            if (step.op === 'refused') outbox.drop(message, 'refused');
            else outbox[step.op](message);
          }
        }
        const stats = outbox.stats();
        const dropped = Object.values(stats.dropped).reduce((sum, count) => sum + count, 0);
        assert.is(stats.accepted, stats.published + stats.duplicates + dropped + stats.waiting);
        assert.is(told, dropped);
        assert.ok(stats.waiting <= 8 && stats.waitingBytes <= 300);
        assert.ok(stats.waitingBytes >= stats.waiting);
      }
      outbox.dropAll('closed');
      assert.is(outbox.stats().waiting, taken.length);
    }),
    { seed, numRuns: 300 },
  );
});

test('[R-O1] a long queue is given back in order and its memory with it', () => {
  const outbox = new Outbox({ maxMessages: 100_000, maxBytes: 1e9 }, () => undefined);
  const all = Array.from({ length: 10_000 }, () => waiting(1));
  for (const message of all) outbox.push(message);
  for (const message of all) {
    const taken = outbox.take();
    assert.is(taken, message);
    outbox.published(message);
  }
  assert.equal([outbox.waiting, outbox.waitingBytes, outbox.stats().published], [0, 0, 10_000]);
});

test.run();
