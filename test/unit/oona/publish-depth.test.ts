import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DepthGate } from '../../../src/oona/publish/depth-gate.ts';
import { PUBLISH_OPTIONS, type PublishingOptions } from '../../../src/oona/publish/options.ts';

const test = suite('depth gate');
const gateOf = (options: PublishingOptions) => new DepthGate(PUBLISH_OPTIONS.resolve(options));

test('[R-O5] far below the limit one look in depthLookMs is enough, for each stream by itself', () => {
  const gate = gateOf({ dropDepth: 1000, depthLookMs: 100 });
  assert.is(gate.limit('normal', false, 0), 1000, 'nothing is known');
  gate.measured('normal', 0, 0);
  assert.equal([gate.limit('normal', false, 1), gate.limit('normal', false, 99)], [undefined, undefined]);
  assert.is(gate.limit('policy', false, 1), 1000);
  assert.is(gate.limit('normal', false, 100), 1000);
  assert.is(gate.limit('normal', false, 101), undefined, 'one of those under way looks');
});

test('[R-O5] each append looks when a quarter of the room is used, and near the limit', () => {
  const gate = gateOf({ dropDepth: 1000, depthLookMs: 100 });
  gate.measured('normal', 0, 0);
  let blind = 0;
  while (gate.limit('normal', false, 1) === undefined) blind += 1;
  assert.is(blind, 249);
  assert.is(gate.limit('normal', false, 1), 1000, 'until somebody answers');
  gate.measured('normal', 998, 1);
  assert.is(gate.limit('normal', false, 1), 1000);
  gate.measured('normal', 1200, 1);
  assert.is(gate.limit('normal', false, 1), 1000);
});

test('[R-O5] what may be rerouted has the lower limit; limits that are off are not asked for', () => {
  const gate = gateOf({ dropDepth: 100, rerouteDepth: 10 });
  assert.equal([gate.limit('normal', true, 0), gate.limit('normal', false, 0)], [10, 100]);
  assert.is(gateOf({ dropDepth: 0, rerouteDepth: 10 }).limit('normal', true, 0), 10);
  assert.is(gateOf({ dropDepth: 5, rerouteDepth: 10 }).limit('normal', true, 0), 5);
  assert.is(gateOf({ dropDepth: 0 }).limit('normal', false, 0), Number.POSITIVE_INFINITY);
  assert.is(gateOf({ dropDepth: 0, measureDepth: false }).limit('normal', false, 0), undefined);
});

test('[R-O5] with depthLookMs 0 every append looks', () => {
  const gate = gateOf({ depthLookMs: 0 });
  gate.measured('normal', 0, 0);
  for (let i = 0; i < 3; i++) assert.is(gate.limit('normal', false, 0), 150_000);
});

test.run();
