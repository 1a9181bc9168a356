// watchdog: 180 s

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { appendRaw, badRows, emergency } from '../helpers/oona-fixtures.ts';
import { admin, closeAfterEach, codeOf, host, publishSurely, server } from '../helpers/oona-hosts.ts';
import { until } from '../helpers/until.ts';

const test = suite('oona on redis');
closeAfterEach(test);

test('[R-O1][R-F3] two hosts both hear every emergency exactly once', async () => {
  const { url } = await server();
  const [a, b] = [host(url, 'a'), host(url, 'b')];
  await Promise.all([a.reader.start(), b.reader.start()]);
  const sent = Array.from({ length: 200 }, () => emergency());
  await Promise.all(sent.map((message, i) => (i % 2 === 0 ? a : b).oona.publishEmergency(message)));
  await until('200 at each host', () => a.heard.length >= 200 && b.heard.length >= 200);
  const expected = sent.map(({ signalId }) => signalId).sort();
  assert.equal([...a.heard].sort(), expected);
  assert.equal([...b.heard].sort(), expected);
});

test('[R-O1][R-B7] both the trainer and its supervisor may publish one signal: it is stored once', async () => {
  const { url } = await server();
  const [trainer, supervisor, other] = [host(url, 'a'), host(url, 'a'), host(url, 'b')];
  await other.reader.start();
  const message = emergency();
  const results = await Promise.all([trainer, supervisor].map(({ oona }) => oona.publishEmergency(message)));
  assert.equal(results.map(codeOf).sort(), ['duplicate', 'published']);
  const next = emergency();
  await trainer.oona.publishEmergency(next);
  await until('the next one', () => other.heard.includes(next.signalId));
  assert.equal(other.heard, [message.signalId, next.signalId]);
});

test('[BAD-envelope-empty][BAD-envelope-truncated][BAD-envelope-unsigned][BAD-envelope-other-key] bad entries lose none of the good ones around them', async () => {
  const { url } = await server();
  const { oona, reader, heard, rejected } = host(url, 'a');
  await reader.start();
  const good: string[] = [];
  const rows = badRows();
  for (const row of rows) {
    await appendRaw(oona.transport, 'oona.emergency', row.entry);
    const message = emergency();
    good.push(message.signalId);
    await oona.publishEmergency(message);
  }
  await until('all good ones', () => heard.length >= rows.length);
  assert.equal(heard, good);
  assert.equal(
    rejected.map(({ code }) => code),
    rows.map(({ code }) => code),
  );
});

test('[R-O1] an entry of another shape than ours is dropped and told', async () => {
  const redis = await server();
  const { oona, reader, heard, rejected } = host(redis.url, 'a');
  await admin(redis).xadd('oona.emergency', '*', 'hello', 'world');
  await oona.publishEmergency(emergency());
  await reader.start();
  await until('the good one', () => heard.length === 1);
  assert.equal(
    rejected.map(({ code }) => code),
    ['ESPER_LEYLINE_EMPTY'],
  );
});

test('[R-O1] a restart of Redis that keeps its data loses nothing and repeats nothing', async () => {
  const redis = await server({ persistence: 'aof' });
  const { oona, reader, heard } = host(redis.url, 'a');
  await reader.start();
  const sent: string[] = [];
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 10; i++) {
      const message = emergency();
      sent.push(message.signalId);
      await publishSurely(oona, message);
    }
    if (round === 1) await redis.kill();
    await redis.restart();
  }
  const last = emergency();
  sent.push(last.signalId);
  await publishSurely(oona, last);
  await until('all', () => heard.length >= sent.length);
  assert.equal(heard, sent);
});

test('[R-O1] a restart of Redis that forgets everything is healed: group and stream are made again', async () => {
  const redis = await server();
  const { oona, reader, heard } = host(redis.url, 'a');
  await reader.start();
  const [before, after] = [emergency(), emergency()];
  await publishSurely(oona, before);
  await until('the first', () => heard.length === 1);
  await redis.kill();
  await redis.restart();
  await publishSurely(oona, after);
  await until('the second', () => heard.length === 2);
  assert.equal(heard, [before.signalId, after.signalId]);
});

test('[R-O1] FLUSHALL under a blocked reader is healed', async () => {
  const redis = await server();
  const { oona, reader, heard } = host(redis.url, 'a');
  await reader.start();
  await publishSurely(oona, emergency());
  await until('the first', () => heard.length === 1);
  await admin(redis).flushall();
  const after = emergency();
  await publishSurely(oona, after);
  await until('the second', () => heard.length === 2);
  assert.is(heard[1], after.signalId);
  assert.is(reader.stats().lastErrorCode, 'ESPER_OONA_NO_GROUP');
});

test.run();
