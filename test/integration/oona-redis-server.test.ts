// watchdog: 180 s
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { emergency } from '../helpers/oona-fixtures.ts';
import { admin, closeAfterEach, codeOf, host, publishSurely, server } from '../helpers/oona-hosts.ts';
import { until } from '../helpers/until.ts';

const test = suite('oona and how redis is set up');
closeAfterEach(test);

test('[R-O1] scripts that the server forgot are sent again', async () => {
  const redis = await server();
  const { oona } = host(redis.url, 'a');
  const control = admin(redis);
  for (let i = 0; i < 3; i++) {
    assert.is(codeOf(await oona.publishEmergency(emergency())), 'published');
    await control.script('FLUSH');
  }
});

test('[R-O1] a full Redis, another type under the name, a replica: each has its code, and each passes', async () => {
  const redis = await server();
  const { oona } = host(redis.url, 'a');
  const control = admin(redis);
  const publish = async (message = emergency()): Promise<string> =>
    codeOf(await oona.publishEmergency(message));
  await control.set('oona.emergency', 'a string');
  const early = emergency();
  assert.is(await publish(early), 'ESPER_OONA_WRONG_TYPE');
  await control.del('oona.emergency');
  // The failed append must not have taken the id.
  assert.is(await publish(early), 'published');
  await control.config('SET', 'maxmemory', '1');
  const full = emergency();
  assert.is(await publish(full), 'ESPER_OONA_OUT_OF_MEMORY');
  await control.config('SET', 'maxmemory', '0');
  assert.is(await publish(full), 'published');
  const publisherId = async (): Promise<string | undefined> =>
    /id=(\d+) .*name=esper-oona-publisher/.exec(String(await control.client('LIST')))?.[1];
  const id = await publisherId();
  await control.replicaof('127.0.0.1', 1);
  const failover = emergency();
  assert.is(await publish(failover), 'ESPER_OONA_READONLY');
  // The primary may be elsewhere by now: the name must be looked up again.
  await until('a new connection', async () => ![undefined, id].includes(await publisherId()));
  await control.replicaof('NO', 'ONE');
  assert.is((await publishSurely(oona, failover)).outcome, 'published');
  assert.is(await control.xlen('oona.emergency'), 3);
});

test('[R-O1] a wrong password or database is told by its code, and no secret reaches a log or an error', async () => {
  const redis = await server({ args: ['--requirepass', 'right-hunter2'] });
  const told: unknown[] = [];
  const log = (...what: unknown[]): void => void told.push(what);
  const logger = { debug: log, info: log, warn: log, error: log };
  const failureOf = async (url: string): Promise<string> => {
    const { oona } = host(url, 'a', { logger });
    const error = await oona.ensureReady().catch((one: unknown) => one);
    const result = await oona.publishEmergency(emergency());
    told.push(error, result);
    return (error as { code?: string } | undefined)?.code ?? 'ready';
  };
  const at = `127.0.0.1:${redis.port}`;
  assert.is(await failureOf(`redis://:wrong-hunter2@${at}`), 'ESPER_OONA_AUTH');
  assert.is(await failureOf(`redis://somebody:wrong-hunter2@${at}`), 'ESPER_OONA_AUTH');
  assert.is(await failureOf(`redis://${at}`), 'ESPER_OONA_AUTH');
  assert.is(await failureOf(`redis://:right-hunter2@${at}/99`), 'ESPER_OONA_REDIS');
  assert.is(await failureOf(`redis://:right-hunter2@${at}/3`), 'ready');
  assert.ok(told.length > 10);
  assert.not.match(inspect(told, { depth: 9 }), 'hunter2');
});

test('[R-O1] old emergencies are trimmed from the stream as new ones come', async () => {
  const redis = await server();
  const { oona } = host(redis.url, 'a');
  const append = async (ttlMs: number): Promise<void> => {
    const request = {
      stream: 'oona.emergency',
      payload: Buffer.from('x'),
      signature: '',
      dedupWindowMs: 0,
      ttlMs,
    };
    await oona.transport.append({ ...request, dedupId: randomUUID() }, { deadlineMs: 5000 });
  };
  for (let i = 0; i < 500; i++) await append(60_000);
  const control = admin(redis);
  assert.is(await control.xlen('oona.emergency'), 500);
  await delay(60);
  await append(20);
  // After the append, by whole nodes of 100 entries.
  await until('the trim', async () => (await control.xlen('oona.emergency')) <= 100);
});

test('[R-O1] connections of publisher, control and reader are apart and named', async () => {
  const redis = await server();
  const { oona, reader } = host(redis.url, 'a');
  await oona.ensureReady();
  await reader.start();
  await until('the reader', () => reader.stats().state === 'reading');
  const control = admin(redis);
  const names = async (): Promise<string[]> =>
    [...String(await control.client('LIST')).matchAll(/ name=(esper\S*)/g)]
      .map(([, name]) => name ?? '')
      .sort();
  await until('three', async () => (await names()).length === 3);
  assert.equal(await names(), ['esper-oona-control', 'esper-oona-publisher', 'esper-oona-reader']);
  await oona.close();
  await until('none', async () => (await names()).length === 0);
});

test.run();
