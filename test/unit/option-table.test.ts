import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  choice,
  flag,
  hasMethods,
  integer,
  isFunction,
  isText,
  needed,
  number,
  part,
  text,
  value,
} from '../../src/core/option-rows.ts';
import { optionTable } from '../../src/core/option-table.ts';

const test = suite('option table');

const head = { owner: 'thing', title: 'Thing', intro: 'A thing.' };
const limit = { unit: 'ms', text: 'A time.', atLimit: 'It ends.' };
const table = optionTable(head, {
  leaseMs: integer({ ...limit, min: 100, max: 3_600_000, default: 30_000, env: 'THING_LEASE_MS' }),
  claimIntervalMs: integer({
    ...limit,
    min: 10,
    max: 3_600_000,
    default: { text: 'a third of `leaseMs`', of: (option) => option('leaseMs') / 3 },
  }),
  ratio: number({ ...limit, unit: '', min: 0, max: 1, default: 0.5, env: 'THING_RATIO' }),
  loud: flag({ text: 'Loud.', default: false, env: 'THING_LOUD' }),
  mode: choice({ text: 'How.', choices: ['slow', 'fast'], default: 'slow', env: 'THING_MODE' }),
  name: text({ text: 'Its name.', pattern: /^\w{1,8}$/, allowed: '1-8 letters', default: 'it' }),
  onEnd: value<(() => void) | undefined>({
    ...{
      text: 'Called.',
      allowed: 'a function',
      defaultText: 'none',
      default: undefined,
      accepts: isFunction,
    },
  }),
});

const message = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    assert.is((error as { code?: string }).code, 'ESPER_OPTION_INVALID');
    return (error as Error).message;
  }
  return 'accepted';
};

test('[R-O1] what is not given is the default, and the result is frozen', () => {
  const resolved = table.resolve(undefined);
  assert.equal(resolved, {
    ...{ leaseMs: 30_000, claimIntervalMs: 10_000, ratio: 0.5, loud: false, mode: 'slow', name: 'it' },
    onEnd: undefined,
  });
  assert.ok(Object.isFrozen(resolved));
  assert.equal(table.resolve({ leaseMs: undefined }), resolved, 'undefined counts as not given');
});

test('[R-O1] a derived default follows the option that was given, rounded and inside its own range', () => {
  assert.is(table.resolve({ leaseMs: 1000 }).claimIntervalMs, 333);
  assert.is(table.resolve({ leaseMs: 1000, claimIntervalMs: 20 }).claimIntervalMs, 20);
});

test('[R-O1] both limits are accepted, and nothing beyond them', () => {
  assert.is(table.resolve({ leaseMs: 100 }).leaseMs, 100);
  assert.is(table.resolve({ leaseMs: 3_600_000 }).leaseMs, 3_600_000);
  for (const leaseMs of [99, 3_600_001, 100.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.is(
      message(() => table.resolve({ leaseMs })),
      `thing: leaseMs must be a whole number of ms from 100 to 3600000, got ${leaseMs}`,
    );
  }
});

test('[R-O1] a value of another type is refused, whatever it is', () => {
  const odd: unknown = { leaseMs: '100' };
  const bad: unknown[] = ['100', null, {}, [], () => 1, 100n, Symbol('x')];
  for (const leaseMs of bad)
    assert.match(
      message(() => table.resolve({ leaseMs } as never)),
      /leaseMs must be/,
    );
  assert.match(
    message(() => table.resolve(odd as never)),
    /got "100"/,
  );
  assert.match(
    message(() => table.resolve({ onEnd: 1 } as never)),
    /onEnd must be a function, got 1/,
  );
  assert.match(
    message(() => table.resolve({ mode: 'FAST' } as never)),
    /mode must be one of slow, fast, got "FAST"/,
  );
  assert.match(
    message(() => table.resolve('x' as never)),
    /options must be an object/,
  );
});

test('[R-O1] an unknown key is refused with the one that was probably meant', () => {
  assert.match(
    message(() => table.resolve({ leaseMS: 1 } as never)),
    /unknown option "leaseMS"; did you mean "leaseMs"/,
  );
});

test('[R-O1] the environment stands in for what is not given, and is checked under its own name', () => {
  const env = { THING_LEASE_MS: ' 200 ', THING_LOUD: 'TRUE', THING_MODE: 'fast', THING_RATIO: '0.25' };
  const { leaseMs, loud, mode, ratio } = table.resolve({}, { env });
  assert.equal([leaseMs, loud, mode, ratio], [200, true, 'fast', 0.25]);
  assert.is(table.resolve({ leaseMs: 300 }, { env }).leaseMs, 300);
  assert.is(table.resolve({}, { env: { THING_LEASE_MS: ' ' } }).leaseMs, 30_000, 'blank is not given');
  for (const text of ['1e3', '0x10', '50', 'many', '1.5']) {
    assert.match(
      message(() => table.resolve({}, { env: { THING_LEASE_MS: text } })),
      /^thing: THING_LEASE_MS must be a whole number of ms from 100 to 3600000, got "/,
    );
  }
  assert.match(
    message(() => table.resolve({}, { env: { THING_LOUD: 'yes' } })),
    /THING_LOUD must be true or false/,
  );
});

test("[R-O1] a caller's own defaults come before the row's and after the environment", () => {
  assert.is(table.resolve({}, { defaults: { leaseMs: 500 } }).leaseMs, 500);
  assert.is(table.resolve({}, { defaults: { leaseMs: 500 }, env: { THING_LEASE_MS: '200' } }).leaseMs, 200);
  assert.match(
    message(() => table.resolve({}, { defaults: { leaseMs: 5 } })),
    /leaseMs must be/,
  );
});

test('[R-O1] what is required must be given, and a secret is in no error', () => {
  const secret = text({
    ...{
      text: 'Key.',
      pattern: /^.{32,}$/,
      allowed: 'at least 32 characters',
      default: undefined,
      secret: true,
    },
    env: 'THING_SECRET',
  });
  const guarded = optionTable(head, { secret });
  assert.is(
    message(() => guarded.resolve({})),
    'thing: secret is missing: at least 32 characters',
  );
  for (const run of [
    () => guarded.resolve({ secret: 'hunter2' }),
    () => guarded.resolve({}, { env: { THING_SECRET: 'hunter2' } }),
  ]) {
    assert.not.match(message(run), /hunter2/);
    assert.match(message(run), /got something else/);
  }
});

test('[R-O1] what stands for several calls is named by the one that was made', () => {
  assert.match(
    message(() => table.resolve({ leaseMs: 1 }, { owner: 'other' })),
    /^other: leaseMs must be/,
  );
  assert.match(
    message(() => table.resolve({ lease: 1 } as never, { owner: 'other' })),
    /^other: unknown option "lease"/,
  );
});

test('[R-O1] check refuses what resolve refuses, and accepts what is given to it alone', () => {
  table.check({});
  table.check({ leaseMs: 100, loud: undefined });
  for (const bad of [{ leaseMs: 1 }, { loud: 1 }, { leaseMS: 100 }, { toString: 1 }, { constructor: 1 }]) {
    assert.is(
      message(() => table.check(bad as never)),
      message(() => table.resolve(bad as never)),
    );
  }
});

test('[R-O1] a flag may follow from another option, and a choice may be required and say more', () => {
  const kinds = optionTable(head, {
    kind: choice({ text: 'Which.', choices: ['a', 'b'], default: undefined, hint: 'c is elsewhere' }),
    close: flag({ text: 'Closes.', default: { text: 'true for a', of: (option) => option('kind') === 'a' } }),
  });
  assert.equal([kinds.resolve({ kind: 'a' }).close, kinds.resolve({ kind: 'b' }).close], [true, false]);
  assert.is(kinds.resolve({ kind: 'b', close: true }).close, true);
  assert.is(kinds.rows.close.defaultText, 'true for a');
  assert.match(
    message(() => kinds.resolve({})),
    /kind is missing: one of a, b \(c is elsewhere\)/,
  );
  assert.match(
    message(() => kinds.resolve({ kind: 'c' as never })),
    /kind must be one of a, b \(c is elsewhere\), got "c"/,
  );
});

test('[R-O1] what must be handed over is asked for, and told by its methods', () => {
  const things = optionTable(head, {
    clock: needed<{ now(): number }>({ text: 'Time.', allowed: 'a clock', accepts: hasMethods('now') }),
    tag: value<string | undefined>({
      ...{ text: 'Tag.', allowed: 'a letter', accepts: isText(/^[a-z]$/), default: undefined },
      ...{ defaultText: 'none', secret: true },
    }),
  });
  const clock = { now: () => 1 };
  assert.is(things.resolve({ clock }).clock, clock);
  assert.is(things.resolve({ clock: Object.assign(() => 1, clock) }).clock.now(), 1);
  assert.match(
    message(() => things.resolve({})),
    /clock is missing: a clock/,
  );
  for (const wrong of [{}, { now: 1 }, 1, 'now', null]) {
    assert.match(
      message(() => things.resolve({ clock: wrong as never })),
      /clock must be a clock/,
    );
  }
  assert.is(things.resolve({ clock, tag: 'x' }).tag, 'x');
  assert.match(
    message(() => things.resolve({ clock, tag: 'hunter2' })),
    /tag must be a letter, got something else/,
  );
});

test('[R-O1] a part is an object, or what stands for it; its own table reads it and is linked', () => {
  const outer = optionTable(head, {
    inner: part<{ leaseMs?: number }>({ text: 'Inner.', of: table }),
    tls: part<boolean | object>({
      ...{ text: 'TLS.', of: { head: { title: 'Redis: TLS 1.2' } } },
      instead: { allowed: 'true or false', accepts: (given) => typeof given === 'boolean' },
    }),
  });
  assert.equal(outer.resolve({ inner: { leaseMs: 1 }, tls: true }), { inner: { leaseMs: 1 }, tls: true });
  assert.equal([outer.rows.inner.part, outer.rows.inner.range], ['Thing', '[Thing](#thing)']);
  assert.is(outer.rows.tls.range, 'true or false, or [Redis: TLS 1.2](#redis-tls-12)');
  for (const inner of [true, null, [], 'x']) {
    assert.match(
      message(() => outer.resolve({ inner: inner as never })),
      /inner must be an object of the options of "Thing"/,
    );
  }
  assert.match(
    message(() => outer.resolve({ tls: 1 as never })),
    /tls must be true or false, or an object of/,
  );
});

test('[R-O1] long times and sizes are told in units that people know', () => {
  const shown = (unit: string, min: number, max: number) =>
    integer({ unit, text: 'A.', atLimit: 'B.', min, max, default: min }).range;
  assert.is(shown('ms', 60_000, 604_800_000), '60,000 (1 min) to 604,800,000 (7 d)');
  assert.is(shown('ms', 90, 90_000), '90 to 90,000');
  assert.is(shown('bytes', 0, 536_870_912), '0 to 536,870,912 (512 MiB)');
  assert.is(shown('entries', 1024, 60_000), '1,024 to 60,000');
});

test('[R-O1] a table whose own default is out of range is refused when it is made', () => {
  const rows = { leaseMs: integer({ ...limit, min: 100, max: 200, default: 5 }) };
  assert.match(
    message(() => optionTable(head, rows)),
    /the default of leaseMs is not a whole number/,
  );
});

test.run();
