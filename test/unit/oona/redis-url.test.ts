import { inspect } from 'node:util';
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { OptionError } from '../../../src/core/errors.ts';
import { createRedisTransport } from '../../../src/oona/transport/redis.ts';
import { maskRedisUrl, parseRedisUrl } from '../../../src/oona/transport/redis-url.ts';

const test = suite('oona redis url');

test('[R-O1] takes a URL apart', () => {
  const plain = parseRedisUrl('redis://example');
  assert.equal(
    [plain.kind, plain.nodes, plain.db, plain.tls, plain.username],
    ['single', [{ host: 'example', port: 6379 }], 0, false, undefined],
  );
  const full = parseRedisUrl('rediss://us%40er:p%3Aw@[::1]:7000/3');
  assert.equal(
    [full.nodes, full.db, full.tls, full.username, full.password],
    [[{ host: '::1', port: 7000 }], 3, true, 'us@er', 'p:w'],
  );
  assert.is(full.masked, 'rediss://***@[::1]:7000/3');
});

test('[R-O1] refuses what is no Redis URL without repeating a secret', () => {
  const bad = [
    'hunter2',
    'http://u:hunter2@h',
    'redis://u:hunter2@h/x',
    'redis://u:hunter2@h?password=hunter2',
    'redis://u:%zzhunter2@h',
    'redis://u:hunter2@h:99999',
    'redis:/:hunter2@h',
    'redis:hunter2@h',
    'hunter2:x@h',
    'redis://u:12/hunter2@h',
    'redis:///:hunter2@h',
  ];
  for (const url of bad) {
    try {
      createRedisTransport({ url });
    } catch (error) {
      assert.instance(error, OptionError);
      assert.not.match(inspect(error), 'hunter2');
      continue;
    }
    throw new Error(`accepted ${url}`);
  }
});

test('[R-O1] a masked URL never contains the secret', () => {
  const secret = fc
    .string({ minLength: 1, maxLength: 40 })
    .map((text) => `s3cret${encodeURIComponent(text)}`);
  fc.assert(
    fc.property(secret, secret, (user, password) => {
      for (const url of [
        `redis://${user}:${password}@h:1/0`,
        `redis://:${password}@h`,
        `redis://h?x=${password}`,
        `redis:/:${password}@h`,
        `redis:${password}@h`,
        `${password}@h`,
        `redis://u:1/${password}@h`,
      ]) {
        assert.not.match(maskRedisUrl(url), 's3cret');
      }
    }),
  );
});

test.run();
