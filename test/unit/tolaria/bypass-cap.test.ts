import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { OptionError } from '../../../src/core/errors.ts';
import { createBypassCap } from '../../../src/tolaria/bypass-cap.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';

const test = suite('bypass cap');

function admissions(cap: ReturnType<typeof createBypassCap>, count: number, exempt: boolean): string[] {
  return Array.from({ length: count }, () => cap.admit(exempt));
}

test('[R-F7] lets a minute’s worth of repeats pass, then caps them', () => {
  const cap = createBypassCap(3, createManualClock());
  assert.equal(admissions(cap, 5, false), ['token', 'token', 'token', 'capped', 'capped']);
});

test('[R-F7] never caps what is exempt, not even with a cap of 0', () => {
  for (const max of [0, 1, 60]) {
    const cap = createBypassCap(max, createManualClock());
    assert.not.ok(admissions(cap, 1000, true).includes('capped'));
    assert.is(cap.admit(false), 'capped');
  }
});

test('[R-F7] fills at its rate over the minute and never above it', () => {
  const clock = createManualClock();
  const cap = createBypassCap(60, clock);
  admissions(cap, 60, false);
  for (let second = 0; second < 60; second++) {
    assert.is(cap.available(), 0);
    clock.advance(1000);
    assert.is(cap.admit(false), 'token');
  }
  clock.advance(3_600_000);
  assert.is(cap.available(), 60);
});

test('[R-F7] takes back a token, but not one that was never taken', () => {
  const cap = createBypassCap(1, createManualClock());
  const taken = cap.admit(false);
  cap.giveBack(taken);
  assert.is(cap.admit(false), 'token');
  const free = cap.admit(true);
  assert.is(free, 'free');
  cap.giveBack(free);
  cap.giveBack('capped');
  assert.is(cap.admit(false), 'capped');
});

test('[R-F7] does not notice a step of the wall clock', () => {
  const clock = createManualClock();
  const cap = createBypassCap(1, clock);
  cap.admit(false);
  clock.stepWall(86_400_000);
  assert.is(cap.admit(false), 'capped');
});

test('[R-F7] refuses a cap that is no number from 0 to 1000000', () => {
  for (const max of [-1, 1_000_001, Number.NaN, Number.POSITIVE_INFINITY, '60' as unknown as number]) {
    assert.throws(
      () => createBypassCap(max, createManualClock()),
      (error: Error) => error instanceof OptionError,
    );
  }
});

test.run();
