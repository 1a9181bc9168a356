import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { Redis } from 'ioredis';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { errorCode } from '../../../src/core/errors.ts';
import { createRedisTransport } from '../../../src/oona/transport/redis.ts';
import { BurstWriter } from '../../../src/oona/transport/redis-bursts.ts';
import { encodeCommand, WireCommand } from '../../../src/oona/transport/redis-wire.ts';
import { type RedisServer, startRedis } from '../../helpers/redis-server.ts';
import { createAuthority } from '../../helpers/redis-tls.ts';

const test = suite('oona bursts of commands');
const KEY = 'list';

let server: RedisServer;
let admin: Redis;
const clients: Redis[] = [];

test.before(async () => {
  server = await startRedis();
  admin = new Redis(server.url);
});
test.before.each(async () => {
  await admin.del(KEY);
});
test.after.each(() => {
  for (const client of clients.splice(0)) client.disconnect();
});
test.after(async () => {
  admin.disconnect();
  await server.stop();
});

async function connect({ port } = server, tls?: ConnectionOptions): Promise<Redis> {
  const once = { lazyConnect: true, enableOfflineQueue: false, retryStrategy: null };
  const client = new Redis({ host: '127.0.0.1', port, ...once, ...(tls && { tls }) });
  clients.push(client);
  await client.connect();
  return client;
}

const streamOf = (client: Redis): Socket => client.stream as Socket;

/** Appends to the list through the writer; settles with the answer. */
function push(
  writer: BurstWriter,
  client: Redis,
  value: string,
  more: { urgent?: boolean; broken?: boolean } = {},
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const command = new WireCommand('rpush', encodeCommand(['RPUSH', KEY, value]), resolve, reject);
    if (more.broken) {
      command.toWritable = () => {
        throw new Error('not to be written');
      };
    }
    writer.write(client, command, more.urgent === true);
  });
}

/**
 * Holds the event loop until another process has seen `least` values in the list; returns what it saw. Nothing of this
 * process leaves meanwhile but what has left already.
 */
function seenWhileBlocked(least: number, { url, port } = server): string[] {
  const connecting = url.startsWith('rediss')
    ? `tls').connect({ rejectUnauthorized: false,`
    : `net').connect({`;
  const script = `
    const command = '*4\\r\\n$6\\r\\nLRANGE\\r\\n$${KEY.length}\\r\\n${KEY}\\r\\n$1\\r\\n0\\r\\n$2\\r\\n-1\\r\\n';
    const socket = require('node:${connecting} port: ${port}, host: '127.0.0.1' }, () => socket.write(command));
    socket.on('data', (data) => {
      const values = data.toString().split('\\r\\n').slice(1).filter((line) => line !== '' && line[0] !== '$');
      if (values.length < ${least}) return setTimeout(() => socket.write(command), 5);
      process.stdout.write(values.join());
      socket.destroy();
    });`;
  const { stdout, status } = spawnSync(process.execPath, ['-e', script], { timeout: 10_000 });
  assert.is(status, 0, `nobody saw ${least} values: nothing left while the loop was blocked`);
  return stdout.toString().split(',');
}

const list = (): Promise<string[]> => admin.lrange(KEY, 0, -1);

test('[R-O1][R-F11] the first of a turn leaves at once although the loop is blocked; the others at its end', async () => {
  const [writer, client] = [new BurstWriter(), await connect()];
  const answers = ['1', '2', '3'].map((value) => push(writer, client, value));
  assert.equal(seenWhileBlocked(1), ['1']);
  assert.ok(streamOf(client).writableLength > 0);
  assert.equal(await Promise.all(answers), [1, 2, 3]);
  assert.is(streamOf(client).writableCorked, 0);
});

test('[R-O1][R-F11] an urgent command leaves although the loop is blocked right after, with all before it', async () => {
  const [writer, client] = [new BurstWriter(), await connect()];
  const answers = ['1', '2', '3'].map((value) => push(writer, client, value));
  answers.push(push(writer, client, 'urgent', { urgent: true }));
  assert.equal(seenWhileBlocked(4), ['1', '2', '3', 'urgent']);
  answers.push(push(writer, client, 'held'), push(writer, client, 'again', { urgent: true }));
  assert.equal(seenWhileBlocked(6), ['1', '2', '3', 'urgent', 'held', 'again']);
  answers.push(push(writer, client, 'last'));
  assert.equal(await Promise.all(answers), [1, 2, 3, 4, 5, 6, 7]);
});

test('[R-O1][R-F11] the same over TLS, where the first of a turn is held for it', async () => {
  const authority = createAuthority();
  const tls = authority.issue('redis', ['IP:127.0.0.1']);
  const secure = await startRedis({ tls, args: ['--tls-auth-clients', 'no'] });
  const client = await connect(secure, { ca: readFileSync(authority.ca) });
  const writer = new BurstWriter();
  const answers = [push(writer, client, '1'), push(writer, client, '2')];
  answers.push(push(writer, client, 'urgent', { urgent: true }));
  assert.equal(seenWhileBlocked(3, secure), ['1', '2', 'urgent']);
  answers.push(push(writer, client, '3'), push(writer, client, '4'));
  assert.equal(await Promise.all(answers), [1, 2, 3, 4, 5]);
  assert.is(streamOf(client).writableCorked, 0);
  await push(writer, client, 'alone');
  await secure.stop();
  authority.remove();
});

test('[R-O1] the others of a turn arrive in order, in few packets; those of a later turn too', async () => {
  const [writer, client] = [new BurstWriter(), await connect()];
  const reads = async (): Promise<number> =>
    Number(/total_reads_processed:(\d+)/.exec(await admin.info('stats'))?.[1]);
  const wanted: string[] = [];
  for (let turn = 0; turn < 5; turn++) {
    const values = Array.from({ length: 200 }, (_, i) => `${turn}.${i}`);
    wanted.push(...values);
    const before = await reads();
    await Promise.all(values.map((value) => push(writer, client, value)));
    // The first, the rest, and the question itself; the server takes 16 KiB at a time.
    assert.ok((await reads()) - before <= 8, `${(await reads()) - before} reads for 200 commands`);
  }
  assert.equal(await list(), wanted);
});

test('[R-O1] what others send on the same connection keeps its place', async () => {
  const [writer, client] = [new BurstWriter(), await connect()];
  const answers = [push(writer, client, '1'), push(writer, client, '2')];
  answers.push(client.callBuffer('RPUSH', [KEY, 'run']));
  answers.push(push(writer, client, '3', { urgent: true }), client.callBuffer('RPUSH', [KEY, 'run']));
  assert.equal(await Promise.all(answers), [1, 2, 3, 4, 5]);
  assert.equal(await list(), ['1', '2', 'run', '3', 'run']);
});

test('[R-O1] a connection that is replaced within a turn holds nothing back', async () => {
  const writer = new BurstWriter();
  const [old, next] = [await connect(), await connect()];
  const answers = [push(writer, old, 'a1'), push(writer, old, 'a2'), push(writer, old, 'a3')];
  answers.push(push(writer, next, 'b1'), push(writer, next, 'b2'));
  await Promise.all(answers);
  await Promise.all([push(writer, next, 'b3'), push(writer, old, 'a4'), push(writer, next, 'b4')]);
  assert.equal(
    (await list()).filter((value) => value.startsWith('a')),
    ['a1', 'a2', 'a3', 'a4'],
  );
  assert.equal(
    (await list()).filter((value) => value.startsWith('b')),
    ['b1', 'b2', 'b3', 'b4'],
  );
  assert.equal([streamOf(old).writableCorked, streamOf(next).writableCorked], [0, 0]);
});

test('[R-O1] a connection that ends while it holds commands fails them; the next one works in the same turn', async () => {
  const writer = new BurstWriter();
  const [broken, next] = [await connect(), await connect()];
  const failed = ['1', '2', '3'].map((value) =>
    push(writer, broken, value).then(
      () => 'answered',
      () => 'failed',
    ),
  );
  streamOf(broken).destroy();
  const late = push(writer, broken, 'late').catch(() => 'failed');
  const answers = [push(writer, next, 'n1'), push(writer, next, 'n2')];
  await Promise.all(answers);
  assert.equal(await Promise.all([...failed, late]), ['failed', 'failed', 'failed', 'failed']);
  assert.equal(
    (await list()).filter((value) => value.startsWith('n')),
    ['n1', 'n2'],
  );
  assert.not.ok((await list()).includes('late'));
});

test('[R-O1] a command that cannot be written holds up none of the others', async () => {
  const [writer, client] = [new BurstWriter(), await connect()];
  const first = [push(writer, client, '1'), push(writer, client, '2')];
  const broken = push(writer, client, 'broken', { broken: true, urgent: true });
  assert.match(await broken.catch((error: Error) => error.message).then(String), 'not to be written');
  await Promise.all(first);
  await push(writer, client, '3');
  assert.equal([await list(), streamOf(client).writableCorked], [['1', '2', '3'], 0]);
});

test('[R-O1] a transport sends the appends of one turn together; closed in that turn it answers all of them', async () => {
  const transport = createRedisTransport({ url: server.url });
  await transport.ping({ deadlineMs: 5000 });
  const append = (dedupId: string, stream: string, urgent: boolean): Promise<string> =>
    transport
      .append(
        { stream, payload: Buffer.from(dedupId), signature: '', dedupId, dedupWindowMs: 60_000, ttlMs: 0 },
        { deadlineMs: 5000, urgent },
      )
      .then(
        ({ outcome }) => outcome,
        (error: unknown) => String(errorCode(error)),
      );
  const ids = Array.from({ length: 100 }, (_, i) => `${i}`);
  const outcomes = await Promise.all(ids.map((id) => append(id, 's', id === '50')));
  assert.equal(new Set(outcomes), new Set(['appended']));
  const stored = (await admin.xrange('s', '-', '+')).map(([, fields]) => fields[1]);
  assert.equal(stored, ids);
  const cut = ids.map((id) => append(id, 'cut', false));
  await transport.close();
  assert.equal(new Set(await Promise.all(cut)), new Set(['ESPER_OONA_CLOSED']));
});

test.run();
