// watchdog: 180 s
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isTransportError } from '../../src/oona/errors.ts';
import { slotOf } from '../../src/oona/transport/redis-cluster-slots.ts';
import { emergency } from '../helpers/oona-fixtures.ts';
import { atEnd, closeAfterEach, host, publishSurely } from '../helpers/oona-hosts.ts';
import { type ClusterOptions, type ClusterSetup, startCluster } from '../helpers/redis-cluster.ts';
import {
  appendRequest,
  codeOf,
  roundTrip,
  startAppending,
  startReading,
  transportOf,
} from '../helpers/redis-traffic.ts';
import { until } from '../helpers/until.ts';

const test = suite('oona on a Redis Cluster');
closeAfterEach(test);

const STREAM = 'oona.normal';
const STREAMS = ['oona.normal', 'oona.emergency', 'oona.kernels.requests', 'oona.deadletter', '{a}b', 'é'];

async function cluster(options?: ClusterOptions): Promise<ClusterSetup> {
  const setup = await startCluster(options);
  atEnd(() => setup.stop());
  return setup;
}

test('[R-O1] every stream works wherever its slot is, by URL and by list', async () => {
  const setup = await cluster();
  const owners = new Set<unknown>();
  for (const stream of STREAMS) {
    assert.is(slotOf(stream), await setup.slotOf(stream), stream);
    owners.add(await setup.ownerOf(stream));
  }
  assert.is(owners.size, 3, 'the streams lie on all nodes');
  const byUrl = transportOf({ url: `redis+cluster://${setup.hosts}` });
  await byUrl.ping({ deadlineMs: 5000 });
  assert.ok(byUrl.connected);
  for (const stream of STREAMS) await roundTrip(byUrl, stream);
  // One of the nodes is enough to find the others.
  const [first] = setup.nodes;
  const byList = transportOf({
    nodes: [{ host: '127.0.0.1', port: first?.server.port ?? 0 }],
    cluster: true,
  });
  for (const stream of STREAMS) await roundTrip(byList, stream);
});

test('[R-O1] a slot that moves back and forth under load: nothing lost, nothing twice, everybody goes on', async () => {
  const setup = await cluster();
  const publisher = transportOf({ url: `redis+cluster://${setup.hosts}` });
  const consumer = transportOf({ url: `redis+cluster://${setup.hosts}` });
  const reading = startReading(consumer, STREAM);
  const appending = startAppending(publisher, STREAM, 8, 1);
  const slot = await setup.slotOf(STREAM);
  let counted = 0;
  for (let i = 0; i < 10; i++) {
    await until('more of them', () => appending.confirmed.length > counted + 50);
    counted = appending.confirmed.length;
    // Longer than the deadline of a publish in one of them: that publish fails, typed, and is stored afterwards.
    await setup.moveSlot(slot, await setup.otherThan(STREAM), () => delay(i === 5 ? 600 : 10));
  }
  await appending.stop();
  await until('all of them', () => new Set(reading.heard).size >= appending.confirmed.length);
  await reading.stop();
  const owner = await setup.ownerOf(STREAM);
  assert.is(await owner.admin.xlen(STREAM), appending.confirmed.length);
  assert.equal([...new Set(reading.heard)].sort(), [...appending.confirmed].sort());
  assert.ok(appending.confirmed.length > 500);
  for (const code of appending.codes.keys()) {
    assert.ok(['ESPER_OONA_TRY_AGAIN', 'ESPER_OONA_TIMEOUT'].includes(code), code);
  }
});

test('[R-O1] while a slot is split, an append waits as long as its deadline lets it, and reading goes on', async () => {
  const setup = await cluster();
  const transport = transportOf({ url: `redis+cluster://${setup.hosts}` });
  await roundTrip(transport, STREAM);
  const slot = await setup.slotOf(STREAM);
  const patient: Promise<unknown>[] = [];
  await setup.moveSlot(slot, await setup.otherThan(STREAM), async () => {
    // Before the first key moves and after the last one has: both sides are asked.
    const short = transport.append(appendRequest(STREAM, `short ${patient.length}`), { deadlineMs: 100 });
    const error = await short.then(
      () => undefined,
      (one: unknown) => one,
    );
    // Where the stream has gone and its dedup key is new, one side alone can serve it: then it is simply stored.
    if (error !== undefined) {
      assert.ok(isTransportError(error) && error.retryable, String(error));
      assert.is(error.code, 'ESPER_OONA_TRY_AGAIN');
    }
    assert.is(await codeOf(transport.groups(STREAM, { deadlineMs: 2000 })), 'ok');
    const long = transport.append(appendRequest(STREAM, `${patient.length}`), { deadlineMs: 5000 });
    patient.push(long.catch((failed: unknown) => failed));
    // Many tries long.
    await delay(500);
  });
  const outcomes = (await Promise.all(patient)) as { outcome: string }[];
  assert.equal(
    outcomes.map(({ outcome }) => outcome),
    ['appended', 'appended'],
  );
  await roundTrip(transport, STREAM);
});

test('[R-O1] a reader that found nothing reads on where its stream has gone, before the slot has', async () => {
  const setup = await cluster();
  const transport = transportOf({ url: `redis+cluster://${setup.hosts}` });
  await transport.ensureGroup(STREAM, 'g', '0', { deadlineMs: 2000 });
  const reader = transport.openReader();
  const request = {
    stream: STREAM,
    group: 'g',
    consumer: 'c',
    which: 'new',
    afterId: '0',
    count: 10,
  } as const;
  const read = () => reader.read({ ...request, blockMs: 20 }, new AbortController().signal);
  await read();
  const counts: number[] = [];
  const to = await setup.otherThan(STREAM);
  await setup.moveSlot(await setup.slotOf(STREAM), to, async () => {
    // Each after one that found none: something is sent before the read then.
    for (let i = 0; i < 2; i++) counts.push((await read()).length);
    if (counts.length === 2) return;
    await to.admin.pipeline().call('ASKING').xadd(STREAM, '*', 'payload', 'x', 'signature', '').exec();
    counts.push((await read()).length);
  });
  assert.equal(counts, [0, 0, 0, 0, 1]);
});

test('[R-O1][R-F11] a primary is killed: its replica takes over, what was on two servers stays', async () => {
  const setup = await cluster();
  const victim = await setup.ownerOf(STREAM);
  await setup.addReplica(victim);
  const publisher = transportOf({ url: `redis+cluster://${setup.hosts}`, waitReplicas: 1 });
  const consumer = transportOf({ url: `redis+cluster://${setup.hosts}` });
  const reading = startReading(consumer, STREAM);
  const appending = startAppending(publisher, STREAM, 8);
  await until('some', () => appending.confirmed.length > 100);
  await victim.server.kill();
  const before = [...appending.confirmed];
  await until('the loss to be noticed', () => appending.codes.size > 0);
  // Its only replica is the primary now, so nothing can be on two servers: each publish says so.
  await until('the replica', () => appending.codes.has('ESPER_OONA_NOT_REPLICATED'));
  await until('a primary', async () => (await setup.ownerOf(STREAM)) !== victim);
  const owner = await setup.ownerOf(STREAM);
  const stored = (await owner.admin.xrange(STREAM, '-', '+')).map(([, fields]) => fields[1]);
  for (const text of before) assert.ok(stored.includes(text), `${text} is lost`);
  assert.is(new Set(stored).size, stored.length);
  await setup.addReplica(owner);
  await appending.stop();
  await until('all of them', () => new Set(reading.heard).size >= appending.confirmed.length);
  await reading.stop();
});

test('[R-O1] a node is killed that nobody replaces: its streams fail typed and at once, the others go on', async () => {
  const setup = await cluster();
  const transport = transportOf({ url: `redis+cluster://${setup.hosts}` });
  for (const stream of STREAMS) await roundTrip(transport, stream);
  const victim = await setup.ownerOf(STREAM);
  const other = (
    await Promise.all(STREAMS.map(async (stream) => ({ stream, owner: await setup.ownerOf(stream) })))
  ).find(({ owner }) => owner !== victim)?.stream;
  await victim.server.kill();
  for (let i = 0; i < 30; i++) {
    assert.ok(
      ['ESPER_OONA_DISCONNECTED', 'ESPER_OONA_TRY_AGAIN'].includes(
        await codeOf(transport.groups(STREAM, { deadlineMs: 2000 })),
      ),
    );
    await delay(5);
  }
  await roundTrip(transport, other ?? '');
  assert.not.ok(transport.connected);
  await victim.server.restart();
  await until(
    'its stream',
    async () => (await codeOf(transport.groups(STREAM, { deadlineMs: 2000 }))) === 'ok',
  );
});

test('[R-O2] a dead letter in another slot is acknowledged only once replicas have it', async () => {
  const setup = await cluster();
  const url = `redis+cluster://${setup.hosts}`;
  const [transport, careful] = [transportOf({ url }), transportOf({ url, waitReplicas: 1 })];
  const call = { deadlineMs: 5000 };
  await transport.ensureGroup(STREAM, 'g', '0', call);
  const fields = ['payload', 'poison', 'signature', '', 'body', 'of a peer'];
  const entryId = String(await (await setup.ownerOf(STREAM)).admin.xadd(STREAM, '*', ...fields));
  const place = { stream: STREAM, group: 'g', consumer: 'c' };
  const read = { ...place, which: 'new' as const, afterId: '0', count: 1, blockMs: 0 };
  assert.is((await transport.openReader().read(read, new AbortController().signal)).length, 1);
  const original = { payload: Buffer.from('poison'), signature: '' };
  const to = { deadLetterStream: 'oona.deadletter', fields: { reason: 'ESPER_TEST' }, maxLength: 10 };
  const request = { ...place, entryId, ...original, ...to };
  const pending = async (): Promise<number | undefined> => (await transport.groups(STREAM, call))[0]?.pending;
  assert.is(await codeOf(careful.deadLetter(request, { deadlineMs: 2000 })), 'ESPER_OONA_NOT_REPLICATED');
  assert.is(await pending(), 1);
  await setup.addReplica(await setup.ownerOf(to.deadLetterStream));
  await until('moved', async () => (await codeOf(careful.deadLetter(request, call))) === 'ok');
  assert.is(await pending(), 0);
  const range = { stream: to.deadLetterStream, after: '', count: 10, newestFirst: false };
  const letters = await transport.range(range, call);
  assert.is(letters.length, 1);
  assert.is(Buffer.from(letters[0]?.fields.get('original.body') ?? []).toString(), 'of a peer');
});

test('[R-O1] emergencies are heard by every host while the slot of their stream moves', async () => {
  const setup = await cluster();
  const url = `redis+cluster://${setup.hosts}`;
  const [a, b] = [host(url, 'a'), host(url, 'b')];
  await Promise.all([a.reader.start(), b.reader.start()]);
  const sent = Array.from({ length: 60 }, () => emergency());
  const slot = await setup.slotOf('oona.emergency');
  const moving = (async () => {
    for (let i = 0; i < 4; i++)
      await setup.moveSlot(slot, await setup.otherThan('oona.emergency'), () => delay(20));
  })();
  for (const message of sent) await publishSurely(a.oona, message);
  await moving;
  await until('all at both', () => a.heard.length >= sent.length && b.heard.length >= sent.length);
  const expected = sent.map(({ signalId }) => signalId).sort();
  assert.equal([...a.heard].sort(), expected);
  assert.equal([...b.heard].sort(), expected);
});

test('[R-O1] Cluster: the address that the nodes tell can be mapped; nobody there is a typed failure within the deadline', async () => {
  const setup = await cluster();
  const ports = setup.nodes.map(({ server }) => server.port);
  const away = transportOf({ url: 'redis+cluster://127.0.0.1:1,127.0.0.1:2' });
  assert.is(await codeOf(away.groups(STREAM, { deadlineMs: 2000 })), 'ESPER_OONA_DISCONNECTED');
  const natMap = Object.fromEntries(ports.map((port) => [`127.0.0.1:${port}`, `localhost:${port}`]));
  const mapped = transportOf({ url: `redis+cluster://127.0.0.1:${ports[0]}`, natMap });
  for (const stream of STREAMS) await roundTrip(mapped, stream);
  // One server of a Cluster taken for a single one says where it ought to go.
  const [wrong] = setup.nodes.filter((node) => node !== undefined);
  const single = transportOf({ url: `redis://127.0.0.1:${wrong?.server.port}` });
  const errors = await Promise.all(
    STREAMS.map((stream) =>
      single.groups(stream, { deadlineMs: 2000 }).catch((error: Error) => error.message),
    ),
  );
  assert.match(errors.join(), 'redis+cluster://');
});

test.run();
