// watchdog: 180 s
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { Redis } from 'ioredis';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { RelayProcess } from '../../scripts/stress/relay-process.ts';
import { BusEnvelope } from '../../src/leyline/messages.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { until } from '../helpers/until.ts';

// The relay of examples/ as its users run it: a process, real HTTP, real files, a real Redis.

const test = suite('examples/relay.ts');
const MIB = 2 ** 20;

const relays: RelayProcess[] = [];
const servers: RedisServer[] = [];

test.after.each(async () => {
  await Promise.all(relays.splice(0).map((relay) => relay.remove()));
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

async function start(...args: string[]): Promise<{ relay: RelayProcess; url: string }> {
  const relay = new RelayProcess(args);
  relays.push(relay);
  return { relay, url: await relay.url() };
}

function post(url: string, id: string, body: Buffer): Promise<Response> {
  return fetch(`${url}/payloads`, { method: 'POST', headers: { 'x-payload-id': id }, body });
}

async function end(relay: RelayProcess): Promise<void> {
  relay.terminate();
  const { code } = await relay.ended;
  assert.is(code, 0, relay.stderr);
  assert.is(relay.log.find(({ msg }) => msg === 'engine stopped')?.reason, 'SIGTERM');
}

test('[R-E11] a payload that is answered 200 is in its file, and counted', async () => {
  const { relay, url } = await start();
  const body = randomBytes(3 * MIB);
  const answer = await post(url, 'whole', body);
  assert.is(answer.status, 200);
  assert.ok(gunzipSync(readFileSync(join(relay.directory, 'whole.gz'))).equals(body));
  assert.equal(await (await fetch(`${url}/healthz`)).json(), { status: 'ok' });
  const metrics = await (await fetch(`${url}/metrics`)).text();
  assert.match(metrics, /^relay_payloads_delivered_total 1$/m);
  assert.match(metrics, /^pipeline_error_memory_pressure_critical_total 0$/m);
  await end(relay);
  const { received, delivered, refused } = relay.log.find(({ msg }) => msg === 'payloads') ?? {};
  assert.equal([received, delivered, refused], [1, 1, 0]);
});

test('[R-E11] more than fits is answered 503 with Retry-After, and what was taken is delivered', async () => {
  const { relay, url } = await start('--max-payload', '1Mi', '--buffer', '1');
  const body = randomBytes(MIB);
  const statuses = new Map<string, number>();
  await until('some refused', async () => {
    const round = statuses.size;
    await Promise.all(
      Array.from({ length: 16 }, async (_, index) => {
        const id = `p${round + index}`;
        const answer = await post(url, id, body);
        await answer.arrayBuffer();
        statuses.set(id, answer.status);
        if (answer.status === 503) assert.ok(Number(answer.headers.get('retry-after')) >= 1);
      }),
    );
    return [...statuses.values()].includes(503);
  });
  await end(relay);
  const delivered = [...statuses].filter(([, status]) => status === 200).map(([id]) => `${id}.gz`);
  const refused = [...statuses.values()].filter((status) => status === 503).length;
  assert.ok(delivered.length > 0);
  assert.is(delivered.length + refused, statuses.size, 'nothing but 200 and 503');
  assert.equal(readdirSync(relay.directory).sort(), delivered.sort());
  const account = relay.log.find(({ msg }) => msg === 'payloads');
  assert.equal([account?.received, account?.refused], [statuses.size, refused]);
});

test('[R-E11] at SIGTERM what is all there is delivered, a body that is half there is answered 503', async () => {
  const { relay, url } = await start();
  const half = request(`${url}/payloads`, {
    method: 'POST',
    headers: { 'content-length': 2 * MIB, 'x-payload-id': 'half' },
  });
  const answered = new Promise<{ status: number | undefined; retryAfter: string | undefined }>(
    (resolve, reject) => {
      half.on('error', reject);
      half.on('response', (response) => {
        resolve({ status: response.statusCode, retryAfter: response.headers['retry-after'] });
        half.destroy();
      });
    },
  );
  half.write(randomBytes(MIB));
  const whole = post(url, 'whole', randomBytes(20 * MIB));
  const state = async () => (await (await fetch(`${url}/state`)).json()) as never;
  await until('one half read, one on its way', async () => {
    const { uploads, payloads } = (await state()) as { uploads: number; payloads: { received: number } };
    return uploads === 1 && payloads.received === 2;
  });
  relay.terminate();
  assert.is((await whole).status, 200);
  const { status, retryAfter } = await answered;
  assert.is(status, 503);
  assert.ok(Number(retryAfter) >= 1);
  assert.is((await relay.ended).code, 0, relay.stderr);
  assert.equal(readdirSync(relay.directory), ['whole.gz']);
});

test('[R-E6] a bus that is away is a 503, and none of it is lost when it is back', async () => {
  const server = await startRedis();
  servers.push(server);
  const { relay, url } = await start('--redis', server.url, '--transform', 'protobuf');
  const body = randomBytes(1000);
  assert.is((await post(url, 'before', body)).status, 200);
  const { payload } = BusEnvelope.decode(readFileSync(join(relay.directory, 'before.pb')));
  assert.ok(Buffer.from(payload).equals(body));
  const client = new Redis(server.url);
  assert.is(await client.xlen('oona.telemetry'), 1);
  client.disconnect();
  await server.kill();
  const refused = await post(url, 'meanwhile', body);
  assert.is(refused.status, 503);
  assert.ok(Number(refused.headers.get('retry-after')) >= 1);
  await server.restart();
  await until('the bus to be back', async () => (await post(url, 'meanwhile', body)).status === 200);
  await end(relay);
});

test('[R-E11] who still sends the body reads the refusal', async () => {
  const { relay, url } = await start('--max-payload', '1Mi');
  const body = randomBytes(32 * MIB);
  for (let count = 0; count < 5; count++) {
    const status = await new Promise((resolve, reject) => {
      const sending = request(`${url}/payloads`, {
        method: 'POST',
        // Of its own: the server is told to close it after the answer.
        agent: new Agent({ keepAlive: false }),
        headers: { 'content-length': body.length },
      });
      sending.on('error', reject);
      sending.on('response', (response) => {
        resolve(response.statusCode);
        sending.destroy();
      });
      sending.end(body);
    });
    assert.is(status, 413);
  }
  await end(relay);
});

test('what makes no sense is refused with its reason', async () => {
  const { relay, url } = await start('--max-payload', '1Mi');
  for (const [id, bytes, status] of [
    ['bad/id', 10, 400],
    ['empty', 0, 400],
    ['large', MIB + 1, 413],
  ] as const) {
    assert.is((await post(url, id, Buffer.alloc(bytes))).status, status, id);
  }
  await end(relay);
  const script = fileURLToPath(new URL('../../examples/relay.ts', import.meta.url));
  const run = promisify(execFile);
  for (const args of [
    ['--port', 'x'],
    ['--transform', 'zip'],
    ['--redis', 'nowhere'],
    ['--max-payload', 'big'],
  ]) {
    const { code, stderr } = (await run(process.execPath, ['--import', 'tsx', script, ...args]).catch(
      (error: { code: number; stderr: string }) => error,
    )) as { code: number; stderr: string };
    assert.is(code, 2, stderr);
    assert.match(stderr, /^relay: option/);
  }
});

test.run();
