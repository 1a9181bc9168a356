// watchdog: 120 s
import { inspect } from 'node:util';
import { Redis } from 'ioredis';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { errorMessage } from '../../src/core/errors.ts';
import { emergency } from '../helpers/oona-fixtures.ts';
import { admin, atEnd, closeAfterEach, host, publishSurely, server } from '../helpers/oona-hosts.ts';
import { appendRequest, codeOf, roundTrip, startAppending, transportOf } from '../helpers/redis-traffic.ts';
import { until } from '../helpers/until.ts';

const test = suite('oona, who may do what, and replies that refuse');
closeAfterEach(test);

const STREAM = 'oona.normal';
const CALL = Object.freeze({ deadlineMs: 3000 });

test('[R-O1] an ACL user with no more than the bus needs publishes and reads; what it may not is told by its code', async () => {
  const redis = await server();
  const root = admin(redis);
  const rights = ['+@stream', '+@scripting', '+get', '+set', '+time', '+ping', '+client|setname', '+select'];
  const own = ['~oona.*', '~{oona.*'];
  await root.call('ACL', ['SETUSER', 'bus', 'on', '>bus-hunter2', ...own, '-@all', ...rights]);
  await root.call('ACL', [
    'SETUSER',
    'deaf',
    'on',
    '>bus-hunter2',
    ...own,
    '-@all',
    ...rights,
    '-xreadgroup',
  ]);
  const told: unknown[] = [];
  const log = (...what: unknown[]): void => void told.push(what);
  const logger = { debug: log, info: log, warn: log, error: log };
  const at = `127.0.0.1:${redis.port}`;
  // INFO and CONFIG are refused: the checks are left out, nothing else.
  const allowed = transportOf({ url: `redis://bus:bus-hunter2@${at}`, logger });
  await allowed.ping(CALL);
  await roundTrip(allowed, STREAM);
  const events = [{ key: 'e', entryId: '1-1' }];
  const guard = { stream: STREAM, group: 'g', consumer: 'c', windowMs: 10_000, events };
  await allowed.ensureGroup(STREAM, 'g', '0', CALL);
  assert.equal(await allowed.reserve(guard, CALL), ['new']);
  assert.equal(await allowed.acknowledgeHandled(guard, CALL), []);
  assert.is(await codeOf(allowed.append(appendRequest('elsewhere', 'x'), CALL)), 'ESPER_OONA_AUTH');
  const byList = transportOf({ nodes: [at], username: 'bus', password: 'bus-hunter2', logger });
  await roundTrip(byList, STREAM);
  const wrong = transportOf({ url: `redis://bus:wrong-hunter2@${at}`, logger });
  assert.is(await codeOf(wrong.ping(CALL)), 'ESPER_OONA_AUTH');
  const deaf = transportOf({ url: `redis://deaf:bus-hunter2@${at}`, logger });
  await deaf.ensureGroup(STREAM, 'g', '0', CALL);
  const reader = deaf.openReader();
  const request = { stream: STREAM, group: 'g', consumer: 'c', afterId: '0', count: 1, blockMs: 10 } as const;
  const { signal } = new AbortController();
  assert.is(await codeOf(reader.read({ ...request, which: 'new' }, signal)), 'ESPER_OONA_AUTH');
  told.push(allowed, byList, wrong, deaf, reader);
  assert.not.match(inspect(told, { depth: 9, showHidden: true }), 'hunter2');
});

test('[R-O1] a password that changes while connected: the connection stays, a new one is refused, and it comes back', async () => {
  const redis = await server({ args: ['--requirepass', 'old'] });
  const root = new Redis(redis.port, '127.0.0.1', { password: 'old' });
  atEnd(async () => root.disconnect());
  const transport = transportOf({ url: `redis://:old@127.0.0.1:${redis.port}` });
  await roundTrip(transport, STREAM);
  await root.config('SET', 'requirepass', 'new');
  await root.call('CLIENT', ['KILL', 'TYPE', 'normal', 'SKIPME', 'yes']);
  await until('the refusal', async () => (await codeOf(transport.timeMs(CALL))) === 'ESPER_OONA_AUTH');
  await root.config('SET', 'requirepass', 'old');
  await until('it again', async () => (await codeOf(transport.ping(CALL))) === 'ok');
  await roundTrip(transport, STREAM);
});

test('[R-O1] no group, another type, maxmemory: each has its code, and what was stored stays', async () => {
  const redis = await server();
  const root = admin(redis);
  const transport = transportOf({ url: redis.url });
  await transport.append(appendRequest(STREAM, 'first'), CALL);
  const reader = transport.openReader();
  const request = {
    stream: STREAM,
    group: 'nobody',
    consumer: 'c',
    afterId: '0',
    count: 1,
    blockMs: 10,
  } as const;
  const { signal } = new AbortController();
  assert.is(await codeOf(reader.read({ ...request, which: 'new' }, signal)), 'ESPER_OONA_NO_GROUP');
  await root.set('text', 'x');
  const text = { ...request, stream: 'text' };
  assert.is(await codeOf(transport.append(appendRequest('text', 'y'), CALL)), 'ESPER_OONA_WRONG_TYPE');
  assert.is(await codeOf(transport.ensureGroup('text', 'g', '0', CALL)), 'ESPER_OONA_WRONG_TYPE');
  assert.is(await codeOf(transport.groups('text', CALL)), 'ESPER_OONA_WRONG_TYPE');
  assert.is(await codeOf(reader.read({ ...text, which: 'new' }, signal)), 'ESPER_OONA_WRONG_TYPE');
  await root.config('SET', 'maxmemory', '1');
  assert.is(await codeOf(transport.append(appendRequest(STREAM, 'full'), CALL)), 'ESPER_OONA_OUT_OF_MEMORY');
  assert.is(await codeOf(transport.ensureGroup(STREAM, 'g', '0', CALL)), 'ESPER_OONA_OUT_OF_MEMORY');
  await root.config('SET', 'maxmemory', '0');
  await roundTrip(transport, STREAM);
  const texts = (await root.xrange(STREAM, '-', '+')).map(([, fields]) => fields[1]);
  assert.equal([texts.length, texts[0]], [2, 'first']);
  assert.is(await root.get('text'), 'x');
});

test('[R-O1] a server that is loading says so; once it has loaded, all that was stored is there', async () => {
  // Slowed down, microseconds a key, so that there is a while in which it loads.
  const redis = await server({
    persistence: 'aof',
    args: ['--key-load-delay', '300', '--appendfsync', 'always'],
  });
  const root = admin(redis);
  const pipeline = root.pipeline();
  for (let i = 0; i < 6000; i++) pipeline.set(`filler:${i}`, i);
  await pipeline.exec();
  const transport = transportOf({ url: redis.url });
  await roundTrip(transport, STREAM);
  root.disconnect();
  const restarting = redis.restart();
  const appending = startAppending(transport, STREAM, 2, 5);
  await until('loading', () => (appending.codes.get('ESPER_OONA_LOADING') ?? 0) > 0);
  await restarting;
  const count = appending.confirmed.length;
  await until('more', () => appending.confirmed.length > count + 10);
  await appending.stop();
  assert.is(await admin(redis).xlen(STREAM), appending.confirmed.length + 1);
});

test('[R-O1] a replica refuses typed, and the link looks for the primary again until it is one', async () => {
  const redis = await server();
  const other = await server();
  const { oona, reader, heard } = host(redis.url, 'a');
  await reader.start();
  await publishSurely(oona, emergency());
  await until('the first', () => heard.length === 1);
  await admin(redis).call('REPLICAOF', ['127.0.0.1', String(other.port)]);
  const refused = await oona.publishEmergency(emergency());
  assert.is(refused.outcome, 'failed');
  assert.ok(refused.outcome === 'failed' && refused.retryable, errorMessage(refused));
  await admin(redis).call('REPLICAOF', ['NO', 'ONE']);
  const last = emergency();
  await publishSurely(oona, last);
  await until('the last', () => heard.includes(last.signalId));
});

test.run();
