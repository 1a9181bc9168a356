import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startFixture } from '../helpers/fixture-process.ts';

// Descriptors and memory run out together: a flood of requests takes both.

const test = suite('memory monitor, with a full table of descriptors');

interface Told {
  readonly code: string;
  readonly reported: readonly string[];
  readonly heard: readonly string[];
  readonly source: string;
}

test('[R-E3] pressure is reported and listeners hear of it; a monitor is made all the same', async () => {
  const under = ['sh', '-c', 'ulimit -n 256; exec "$@"', 'sh'];
  const fixture = startFixture<Told>('memory/full-table.ts', [], { under });
  const { code, reported, heard, source } = await fixture.next();
  assert.is(code, 'EMFILE');
  assert.equal([reported, heard], [['critical'], ['critical']]);
  assert.is(source, 'physical');
  assert.is((await fixture.ended).code, 0);
});

test.run();
