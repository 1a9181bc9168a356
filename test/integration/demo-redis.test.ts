// watchdog: 600 s
import { Redis } from 'ioredis';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { resultOf, segmentsOf, startDemo } from '../helpers/demo.ts';
import { startRedis } from '../helpers/redis-server.ts';

const test = suite('the demo over Redis');

test('[R-F3] two hosts share nothing but Redis: raise, clear and HALT of one reach the other', async () => {
  const server = await startRedis();
  const end = await startDemo(['--json', '--steps', '400', '--redis', server.url]).ended;
  const result = resultOf(end);
  assert.equal(result.failures, []);
  assert.is(end.code, 0, end.stderr);
  assert.is(result.bus, 'redis');
  assert.is(result.otherHosts.length, 1);
  const [other] = result.otherHosts;
  assert.is(other?.haltAcknowledged, true);
  assert.type(other?.remoteFlagLatencyMs, 'number');
  assert.type(other?.haltRemoteFlagLatencyMs, 'number');
  assert.equal(segmentsOf(result.runId), []);

  const redis = new Redis(server.url);
  const lasting: string[] = [];
  for (const key of await redis.keys('*')) if ((await redis.pttl(key)) === -1) lasting.push(key);
  redis.disconnect();
  assert.equal(lasting, [], 'the streams of the run are gone; what is beside them expires');
  await server.stop();
});

test.run();
