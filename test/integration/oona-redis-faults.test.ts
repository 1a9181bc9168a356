// watchdog: 180 s
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { emergency } from '../helpers/oona-fixtures.ts';
import { admin, atEnd, closeAfterEach, codeOf, host, publishSurely, server } from '../helpers/oona-hosts.ts';
import { startTcpProxy } from '../helpers/tcp-proxy.ts';
import { until } from '../helpers/until.ts';

const test = suite('oona when redis fails');
closeAfterEach(test);

test('[R-O1] connections killed again and again: every emergency is heard once by every host', async () => {
  const redis = await server();
  const [a, b] = [host(redis.url, 'a'), host(redis.url, 'b')];
  const killer = admin(redis);
  await Promise.all([a.reader.start(), b.reader.start()]);
  const done = new AbortController();
  let kills = 0;
  const killing = (async () => {
    while (!done.signal.aborted) {
      kills += Number(await killer.call('CLIENT', ['KILL', 'TYPE', 'normal', 'SKIPME', 'yes']));
      await delay(7);
    }
  })();
  const sent = Array.from({ length: 150 }, () => emergency());
  for (const [i, message] of sent.entries()) {
    await publishSurely((i % 2 === 0 ? a : b).oona, message);
    await delay(1);
  }
  done.abort();
  await killing;
  await until('150 at each host', () => a.heard.length >= 150 && b.heard.length >= 150);
  const expected = sent.map(({ signalId }) => signalId).sort();
  assert.equal([...a.heard].sort(), expected);
  assert.equal([...b.heard].sort(), expected);
  assert.ok(kills > 20, `${kills} connections killed`);
  assert.ok(a.reader.stats().errors > 0);
});

test('[R-O1][R-F11] while Redis is stopped a publish ends at its own deadline, later it succeeds, and all is heard once', async () => {
  const redis = await server();
  const { oona, reader, heard } = host(redis.url, 'a');
  await reader.start();
  await oona.ensureReady();
  redis.pause();
  const stuck = emergency();
  const failed = await oona.publishEmergency(stuck, { deadlineMs: 250 });
  assert.equal(
    [codeOf(failed), failed.outcome === 'failed' && failed.retryable],
    ['ESPER_OONA_TIMEOUT', true],
  );
  assert.ok(failed.latencyMs >= 249);
  // Dropped as silent: the next publish fails too, on a new connection that nothing answers.
  const again = await oona.publishEmergency(emergency(), { deadlineMs: 100 });
  assert.ok(['ESPER_OONA_TIMEOUT', 'ESPER_OONA_DISCONNECTED'].includes(codeOf(again)), codeOf(again));
  // Longer than block + slack: the reader gives its connection up.
  await until('the reader to notice', () => reader.stats().errors > 0);
  redis.resume();
  const stored = await publishSurely(oona, stuck);
  assert.ok(['published', 'duplicate'].includes(stored.outcome));
  const after = emergency();
  await publishSurely(oona, after);
  await until('both', () => heard.includes(stuck.signalId) && heard.includes(after.signalId));
  assert.is(heard.length, new Set(heard).size);
});

test('[R-O1] a call with a short deadline does not cost the others their connection', async () => {
  const redis = await server();
  const { oona } = host(redis.url, 'a', { stallMs: 5000 });
  await oona.ensureReady();
  const control = admin(redis);
  await control.ping();
  redis.pause();
  const long = oona.publishEmergency(emergency(), { deadlineMs: 20_000 });
  assert.is(codeOf(await oona.publishEmergency(emergency(), { deadlineMs: 20 })), 'ESPER_OONA_TIMEOUT');
  redis.resume();
  assert.is(codeOf(await long), 'published');
});

test('[R-O1] connections that vanish without a word are given up: publisher and reader go on with new ones', async () => {
  const redis = await server();
  const proxy = await startTcpProxy(redis.port);
  atEnd(() => proxy.close());
  const url = `redis://127.0.0.1:${proxy.port}`;
  const { oona } = host(url, 'a');
  const { reader, heard } = host(url, 'b', { stallMs: 700 });
  await reader.start();
  const [before, after] = [emergency(), emergency()];
  await publishSurely(oona, before);
  await until('the first', () => heard.length === 1);
  proxy.freeze();
  await publishSurely(oona, after);
  await until('the second', () => heard.length === 2);
  assert.equal(heard, [before.signalId, after.signalId]);
  assert.ok(reader.stats().errors >= 1);
});

test('[R-O1] a publish that expired while connecting is not sent afterwards', async () => {
  const redis = await server();
  const control = admin(redis);
  // The server must know the script, or what is sent too late would fail by itself.
  assert.is((await publishSurely(host(redis.url, 'b').oona, emergency())).outcome, 'published');
  redis.pause();
  const { oona } = host(redis.url, 'a', { connectTimeoutMs: 20_000, stallMs: 20_000 });
  assert.is(codeOf(await oona.publishEmergency(emergency(), { deadlineMs: 60 })), 'ESPER_OONA_TIMEOUT');
  redis.resume();
  assert.is((await publishSurely(oona, emergency())).outcome, 'published');
  assert.is(await control.xlen('oona.emergency'), 2);
});

test('[R-O1] Redis away at construction: typed failures at once, a reader that waits, and all works when it comes', async () => {
  const redis = await server();
  await redis.stop();
  const { oona, reader, heard } = host(redis.url, 'a');
  assert.is(await oona.ensureReady().catch((error) => error.code), 'ESPER_OONA_DISCONNECTED');
  const failed = await oona.publishEmergency(emergency());
  assert.equal(
    [codeOf(failed), failed.outcome === 'failed' && failed.retryable],
    ['ESPER_OONA_DISCONNECTED', true],
  );
  assert.not.ok(oona.transport.connected);
  await reader.start();
  await until('several tries', () => reader.stats().errors >= 3);
  assert.equal([reader.stats().lastErrorCode, heard], ['ESPER_OONA_DISCONNECTED', []]);
  await redis.restart();
  const message = emergency();
  assert.is((await publishSurely(oona, message)).outcome, 'published');
  await until('the emergency', () => heard.length === 1);
  assert.equal(heard, [message.signalId]);
  assert.ok(oona.transport.connected);
});

test.run();
