import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../../src/leyline/index.ts';
import { EmergencyTokens, OTHER_SOURCES } from '../../../src/oona/publish/emergency-tokens.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';

const test = suite('emergency tokens');
const NOTICE = EmergencyLevel.EMERGENCY_LEVEL_NOTICE;
const CONSERVATIVE = EmergencyLevel.EMERGENCY_LEVEL_CONSERVATIVE;
const HALT = EmergencyLevel.EMERGENCY_LEVEL_HALT;

function setup(maxPerMin: number, maxSources = 256) {
  const clock = createManualClock();
  const tokens = new EmergencyTokens({ maxPerMin, maxSources, clock });
  const take = (level: EmergencyLevel, source = 'a') => tokens.take({ source, level });
  const kinds = (level: EmergencyLevel, times: number, source = 'a') =>
    Array.from({ length: times }, () => take(level, source)?.kind ?? 'limited');
  return { clock, tokens, take, kinds };
}

test('[R-F7] repeats of a level take a token each, the raise before them takes none', () => {
  const { tokens, kinds } = setup(2);
  assert.equal(kinds(CONSERVATIVE, 4), ['free', 'token', 'token', 'limited']);
  assert.equal(tokens.counts().get('a'), { free: 1, tokens: 2, limited: 1 });
});

test('[R-F7] every HALT passes, without a token and with an empty bucket', () => {
  const { tokens, kinds } = setup(0);
  assert.equal(kinds(HALT, 3), ['free', 'free', 'free']);
  assert.equal(kinds(CONSERVATIVE, 2), ['free', 'limited']);
  assert.equal(kinds(HALT, 1), ['free']);
  assert.is(tokens.available(), 0);
});

test('[R-F7] a raise always passes, for each source by itself', () => {
  const { kinds } = setup(0);
  assert.equal(kinds(NOTICE, 2), ['free', 'limited']);
  assert.equal(kinds(CONSERVATIVE, 2), ['free', 'limited']);
  assert.equal(kinds(CONSERVATIVE, 2, 'b'), ['free', 'limited']);
});

test('[R-F7] a clear passes, and the next raise is one again', () => {
  const { tokens, kinds } = setup(0);
  assert.equal(kinds(CONSERVATIVE, 2), ['free', 'limited']);
  assert.is(tokens.take({ source: 'a', level: NOTICE, isClear: true })?.kind, 'free');
  assert.equal(kinds(CONSERVATIVE, 2), ['free', 'limited']);
});

test('[R-F7] a failed publish gives its token back, and a failed raise is still to be told', () => {
  const { tokens, take } = setup(1);
  const raise = take(CONSERVATIVE);
  assert.is(raise?.kind, 'free');
  if (raise !== undefined) tokens.giveBack(raise);
  assert.is(take(CONSERVATIVE)?.kind, 'free');
  const repeat = take(CONSERVATIVE);
  assert.is(repeat?.kind, 'token');
  assert.is(tokens.available(), 0);
  if (repeat !== undefined) tokens.giveBack(repeat);
  assert.is(tokens.available(), 1);
  assert.equal(tokens.counts().get('a'), { free: 1, tokens: 0, limited: 0 });
});

test('[R-F7] the bucket fills by the monotonic clock and no further than it holds', () => {
  const { clock, tokens, kinds } = setup(60);
  kinds(CONSERVATIVE, 61);
  assert.is(tokens.available(), 0);
  clock.stepWall(3_600_000);
  assert.is(tokens.available(), 0);
  clock.advance(999);
  assert.is(tokens.available(), 0);
  clock.advance(1);
  assert.is(tokens.available(), 1);
  clock.advance(3_600_000);
  assert.is(tokens.available(), 60);
});

test('[R-F7] a flood of sources neither fills memory nor makes repeats pass as raises', () => {
  const { clock, tokens, kinds } = setup(0, 4);
  for (let i = 0; i < 1000; i++) kinds(CONSERVATIVE, 1, `source-${i}`);
  assert.is(tokens.counts().size, 5);
  const { free, limited } = tokens.counts().get(OTHER_SOURCES) ?? { free: 0, limited: 0 };
  assert.equal([free, limited], [1, 995]);
  assert.equal(kinds(HALT, 1, 'another'), ['free']);
  clock.advance(60_000);
  assert.equal(kinds(CONSERVATIVE, 2, 'later'), ['free', 'limited']);
  assert.is(tokens.counts().size, 5);
  kinds(CONSERVATIVE, 1, 'x'.repeat(100_000));
  assert.ok(Math.max(...[...tokens.counts().keys()].map((name) => name.length)) <= 128);
});

test('[R-O4] an urgent message that is no emergency always needs a token', () => {
  const { tokens } = setup(1);
  const pass = tokens.takeForUrgent('a');
  assert.is(pass?.kind, 'token');
  assert.is(tokens.takeForUrgent('a'), undefined);
  if (pass !== undefined) tokens.giveBack(pass);
  assert.is(tokens.takeForUrgent('a')?.kind, 'token');
});

test.run();
