import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { OptionError } from '../../../src/core/errors.ts';
import { requireFresh } from '../../../src/oona/freshness.ts';
import { RetryList } from '../../../src/oona/retry-list.ts';
import { SeenSet } from '../../../src/oona/seen-set.ts';
import { DEFAULT_STREAMS, resolveStreams } from '../../../src/oona/streams.ts';
import { compareEntryIds } from '../../../src/oona/transport/entries.ts';
import { dedupPrefix } from '../../../src/oona/transport/redis-keys.ts';
import type { StreamEntry } from '../../../src/oona/transport/transport.ts';

const test = suite('oona parts');

const entry = (entryId: string): StreamEntry => ({
  ...{ stream: 's', entryId, payload: new Uint8Array(0), signature: '', deliveryCount: 1 },
});
const half = (): number => 0.5;
const list = (capacity = 10): RetryList => new RetryList({ baseMs: 10, capMs: 100, capacity, random: half });

test('[R-O1] a retry is due after a wait that doubles up to the cap', () => {
  const retries = list();
  const waits: number[] = [];
  for (let i = 0; i < 6; i++) {
    retries.postpone(entry('1-0'), 1000);
    waits.push(retries.nextDueInMs(1000));
  }
  assert.equal(waits, [10, 20, 40, 50, 50, 50]);
  assert.equal(retries.due(1049), []);
  assert.equal(
    retries.due(1050).map((one) => [one.entryId, one.deliveryCount]),
    [['1-0', 7]],
  );
  assert.is(retries.nextDueInMs(5000), 0);
  retries.settle('1-0');
  assert.equal([retries.size, retries.nextDueInMs(0)], [0, Number.POSITIVE_INFINITY]);
});

test('[R-O1] what there is no room for is told once, when there is room again', () => {
  const retries = list(1);
  retries.postpone(entry('1-0'), 0);
  assert.not.ok(retries.takeOverflow());
  retries.postpone(entry('2-0'), 0);
  assert.not.ok(retries.has('2-0'));
  assert.not.ok(retries.takeOverflow());
  retries.settle('1-0');
  assert.ok(retries.takeOverflow());
  assert.not.ok(retries.takeOverflow());
});

test('[R-O1] the set of handled events is bounded and forgets the oldest', () => {
  const seen = new SeenSet(2);
  seen.add('a', '1-0');
  seen.add('b', '2-0');
  assert.is(seen.find('a'), '1-0');
  seen.add('c', '3-0');
  assert.equal([seen.size, seen.find('a'), seen.find('b'), seen.find('c')], [2, undefined, '2-0', '3-0']);
});

test('[R-O1] freshness accepts both limits exactly and nothing beyond', () => {
  const limits = { maxAgeMs: 100, maxFutureSkewMs: 10 };
  const code = (issuedAtMs: number): string => {
    try {
      requireFresh(issuedAtMs, 1000, limits);
      return 'fresh';
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  assert.equal([900, 1000, 1010].map(code), ['fresh', 'fresh', 'fresh']);
  assert.equal([899, 1011].map(code), ['ESPER_OONA_TOO_OLD', 'ESPER_OONA_FROM_FUTURE']);
});

test('[R-O1] stream names are the shared ones unless given, and never ambiguous', () => {
  assert.equal(resolveStreams(undefined), DEFAULT_STREAMS);
  assert.is(resolveStreams({ emergency: 'run{7}:emergency' }).emergency, 'run{7}:emergency');
  for (const bad of [
    { emergency: '' },
    { emergency: 'a b' },
    { emergency: 'a{b' },
    { normal: 'oona.emergency' },
  ]) {
    assert.throws(
      () => resolveStreams(bad),
      (error: Error) => error instanceof OptionError,
    );
  }
});

/** The part of a key that Redis Cluster hashes. */
function hashed(key: string): string {
  const open = key.indexOf('{');
  const close = key.indexOf('}', open + 1);
  return open >= 0 && close > open + 1 ? key.slice(open + 1, close) : key;
}

test('[R-O1] the dedup key lies in the slot of its stream', () => {
  for (const stream of ['oona.emergency', 'run{7}:emergency', '{a}b']) {
    assert.is(hashed(`${dedupPrefix(stream)}id`), hashed(stream));
    assert.is(hashed(`${dedupPrefix(stream)}{x}`), hashed(stream));
  }
  assert.is.not(dedupPrefix('s'), dedupPrefix('t'));
});

test('[R-O1] entry ids are ordered by number, not by text', () => {
  const ids = ['10-0', '9-10', '9-9', '9', '100-1'];
  assert.equal(ids.sort(compareEntryIds), ['9', '9-9', '9-10', '10-0', '100-1']);
  assert.is(compareEntryIds('5', '5-0'), 0);
});

test.run();
