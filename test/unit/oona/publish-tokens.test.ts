import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { UrgentTokens } from '../../../src/oona/publish/urgent-tokens.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';

const test = suite('urgent tokens');

function setup(maxPerMin: number) {
  const clock = createManualClock();
  const tokens = new UrgentTokens(maxPerMin, clock);
  const takeAll = (): number => {
    let taken = 0;
    while (taken <= maxPerMin && tokens.take()) taken += 1;
    return taken;
  };
  return { clock, tokens, takeAll };
}

test('[R-O4] the bucket holds a minute of tokens; what was not stored is given back', () => {
  const { tokens, takeAll } = setup(2);
  assert.is(takeAll(), 2);
  tokens.giveBack();
  assert.equal([tokens.take(), tokens.take()], [true, false]);
  assert.is(setup(0).takeAll(), 0);
});

test('[R-O4] it fills by the monotonic clock, and no further than it holds', () => {
  const { clock, tokens, takeAll } = setup(60);
  assert.is(takeAll(), 60);
  clock.stepWall(3_600_000);
  assert.not(tokens.take());
  clock.advance(999);
  assert.not(tokens.take());
  clock.advance(1);
  assert.equal([tokens.take(), tokens.take()], [true, false]);
  for (let i = 0; i < 60; i++) clock.advance(1000);
  assert.is(takeAll(), 60);
  clock.advance(3_600_000);
  tokens.giveBack();
  assert.is(takeAll(), 60);
});

test.run();
