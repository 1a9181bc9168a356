import { Command, CommanderError } from 'commander';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { addDeadLetterCommands } from '../../src/cli/dead-letter-commands.ts';
import { filterOf, selectionOf } from '../../src/cli/dead-letter-target.ts';
import { errorMessage } from '../../src/core/errors.ts';
import { rejection } from '../conformance/transport-bench.ts';

const test = suite('esper-fastpath dead-letters: arguments');
const names = ['REDIS_URL', 'ESPER_LEYLINE_SECRET', 'ESPER_LEYLINE_PREVIOUS_SECRETS', 'OONA_NORMAL_STREAM'];
const before = new Map(names.map((name) => [name, process.env[name]]));

/** Nobody listens there: whatever gets past its arguments fails at once. */
const NO_REDIS = 'redis://127.0.0.1:1';

test.before.each(() => {
  for (const name of names) delete process.env[name];
});
test.after(() => {
  for (const [name, value] of before) if (value !== undefined) process.env[name] = value;
});

/** What the command says that is wrong with its arguments. */
async function complaint(args: readonly string[]): Promise<string> {
  let said = '';
  const program = new Command('esper-fastpath').exitOverride();
  addDeadLetterCommands(program, async (work) => {
    await work();
  });
  for (const group of program.commands) {
    for (const command of group.commands) {
      command.exitOverride().configureOutput({ writeErr: (text) => (said += text) });
    }
  }
  const error = await rejection(program.parseAsync(['dead-letters', ...args], { from: 'user' }));
  return error instanceof CommanderError ? said : errorMessage(error);
}

const cases: [string[], Record<string, string>, RegExp][] = [
  [['list'], {}, /give --redis or set REDIS_URL/],
  [['list', '--redis', 'http://h'], {}, /redis:\/\//],
  [['list', '--limit', '0'], {}, /whole number from 1/],
  [['list', '--limit', 'many'], {}, /whole number from 1/],
  [['list', '--older-than', '3'], {}, /15m/],
  [['list', '--older-than', '-3s'], {}, /15m/],
  [['list', '--type', 'poem'], {}, /system_state/],
  [['list', '--after', 'x', '--redis', NO_REDIS], {}, /after must be a letter id/],
  [['list', '--dead-letter-stream', 'a b', '--redis', NO_REDIS], {}, /deadLetter must be letters, digits/],
  [['list', '--redis', NO_REDIS], { OONA_NORMAL_STREAM: 'oona.policy' }, /policy and normal/],
  [['show', 'x', '--unsigned', '--redis', NO_REDIS], {}, /a letter id looks like/],
  [['show', '17-3', '--redis', NO_REDIS], {}, /ESPER_LEYLINE_SECRET is not set/],
  [['show', '17-3', '--redis', NO_REDIS], { ESPER_LEYLINE_SECRET: 'hunter2' }, /use a longer secret/],
  [['show'], {}, /missing required argument/],
  [['replay'], {}, /say which letters/],
  [['replay', '17-3', '--all'], {}, /not both/],
  [['replay', '17-3', '--code', 'ESPER_X'], {}, /not both/],
  [['purge', '--yes'], {}, /say which letters/],
  [['purge', '--all'], {}, /add --yes/],
];

for (const [args, env, expected] of cases) {
  test(`[R-O6] ${args.join(' ')} is refused, and what is allowed is named`, async () => {
    Object.assign(process.env, env);
    const said = await complaint(args);
    assert.match(said, expected);
    assert.not.match(said, /hunter2/);
  });
}

test('[R-O6] ids, or conditions that all must hold', () => {
  assert.equal(selectionOf(['17-3'], { all: false }), ['17-3']);
  assert.equal(selectionOf([], { code: 'X', olderThan: 5, all: false }), { code: 'X', olderThanMs: 5 });
  assert.equal(filterOf({ stream: 's', type: 0, all: true }), { stream: 's', messageType: 0, all: true });
});

test.run();
