import { inspect } from 'node:util';
import { ReplyError } from 'ioredis';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { serverWarnings } from '../../../src/oona/transport/redis-checks.ts';
import { toTransportError } from '../../../src/oona/transport/redis-errors.ts';

const test = suite('oona redis errors');
const typed = (error: unknown) => toTransportError(error, 'append to s', 'redis://***@h');

test('[R-O1] error replies become codes that say whether trying again can help', () => {
  const rows: [string, string, boolean][] = [
    ["NOGROUP No such key 's' or consumer group 'g'", 'ESPER_OONA_NO_GROUP', false],
    ['UNBLOCKED the stream key no longer exists', 'ESPER_OONA_NO_GROUP', false],
    ['UNBLOCKED force unblock from blocking operation, instance state changed', 'ESPER_OONA_READONLY', true],
    ['WRONGTYPE Operation against a key holding the wrong kind of value', 'ESPER_OONA_WRONG_TYPE', false],
    ["OOM command not allowed when used memory > 'maxmemory'.", 'ESPER_OONA_OUT_OF_MEMORY', true],
    ["READONLY You can't write against a read only replica.", 'ESPER_OONA_READONLY', true],
    ['LOADING Redis is loading the dataset in memory', 'ESPER_OONA_LOADING', true],
    ['NOAUTH Authentication required.', 'ESPER_OONA_AUTH', false],
    ['WRONGPASS invalid username-password pair or user is disabled.', 'ESPER_OONA_AUTH', false],
    ["NOPERM this user has no permissions to run the 'xadd' command", 'ESPER_OONA_AUTH', false],
    ["ERR The user executing the script can't run this command or subcommand", 'ESPER_OONA_AUTH', false],
    ['BUSY Redis is busy running a script.', 'ESPER_OONA_TRY_AGAIN', true],
    ['MISCONF Redis is configured to save RDB snapshots', 'ESPER_OONA_TRY_AGAIN', true],
    ['ERR syntax error', 'ESPER_OONA_REDIS', false],
  ];
  for (const [reply, code, retryable] of rows) {
    const error = typed(new ReplyError(reply));
    assert.equal([error.code, error.retryable], [code, retryable], reply);
    assert.match(error.message, 'append to s');
  }
  const lost = typed(new Error('connect ECONNREFUSED 127.0.0.1:1'));
  assert.equal([lost.code, lost.retryable], ['ESPER_OONA_DISCONNECTED', true]);
  assert.match(lost.message, 'REDIS_URL');
});

test('[R-O1] a typed error does not carry the arguments that ioredis hangs on its own', () => {
  const reply = Object.assign(new ReplyError('WRONGPASS invalid'), {
    command: { name: 'auth', args: ['user', 'hunter2'] },
  });
  assert.not.match(inspect(typed(reply), { depth: 9 }), 'hunter2');
});

test('[R-O1] warns of a server that is set up to lose messages', () => {
  const info = (version: string, policy: string, aof: string): string =>
    `# Server\r\nredis_version:${version}\r\nmaxmemory_policy:${policy}\r\naof_enabled:${aof}\r\n`;
  assert.equal(serverWarnings(info('7.0.15', 'noeviction', '1')), []);
  assert.is(serverWarnings(info('6.2.1', 'allkeys-lru', '0')).length, 3);
  assert.equal(serverWarnings('nothing we know'), []);
});

test.run();
