import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openEnvelope } from '../../src/leyline/envelope.ts';
import { createRedisTransport } from '../../src/oona/transport/redis.ts';
import type { BusTransport } from '../../src/oona/transport/transport.ts';
import {
  calls,
  type LetterBench,
  openLetterBench,
  ownStreams,
  STATE,
  sealedState,
} from '../helpers/dead-letters.ts';
import { keyRing, otherKeyRing } from '../helpers/oona-fixtures.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Ended, runFastpath } from '../helpers/service.ts';

const test = suite('esper-fastpath dead-letters');
const SECRET = 'a secret that tests share';

let server: RedisServer;
let transport: BusTransport;
let bench: LetterBench;

test.before(async () => {
  server = await startRedis();
});
test.before.each(() => {
  transport = createRedisTransport({ url: server.url });
  bench = openLetterBench(transport);
});
test.after.each(() => transport.close());
test.after(() => server.stop());

function environment(): Record<string, string> {
  const { normal, emergency, telemetry, policy } = bench.streams;
  return {
    ...{ REDIS_URL: server.url, ESPER_LEYLINE_SECRET: SECRET, OONA_NORMAL_STREAM: normal },
    ...{ OONA_EMERGENCY_STREAM: emergency, OONA_TELEMETRY_STREAM: telemetry, OONA_POLICY_STREAM: policy },
  };
}

function run(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const [command = '', ...rest] = args;
  const where = ['--dead-letter-stream', bench.streams.deadLetter];
  return runFastpath(['dead-letters', command, ...where, ...rest], { ...environment(), ...env });
}

function parsed(text: string): Record<string, unknown> {
  return JSON.parse(text) as Record<string, unknown>;
}

test('[R-O6] list shows the letters, newest first, as a table and as JSON, and how many there are', async () => {
  const { streams, bury } = bench;
  const first = await bury(sealedState(streams.normal), { messageType: STATE, error: 'bell\u0007\u001b[2J' });
  const second = await bury(sealedState(streams.policy), {
    stream: streams.policy,
    reason: 'ESPER_OONA_TOO_OLD',
  });
  const text = await run(['list']);
  assert.equal([text.code, text.stderr], [0, '']);
  assert.ok(text.stdout.indexOf(second) < text.stdout.indexOf(first));
  assert.match(text.stdout, /system_state/);
  assert.not(text.stdout.includes('\u001b'), 'an error is anybody’s text');
  const json = parsed((await run(['list', '--json', '--limit', '1'])).stdout);
  const letters = json.letters as Record<string, unknown>[];
  assert.equal([letters.length, letters[0]?.letterId, json.next], [1, second, second]);
  assert.equal([letters[0]?.reason, letters[0]?.originStream], ['ESPER_OONA_TOO_OLD', streams.policy]);
  const rest = parsed((await run(['list', '--json', '--after', second])).stdout);
  assert.equal(
    (rest.letters as Record<string, unknown>[]).map(({ letterId }) => letterId),
    [first],
  );
  const typed = parsed(
    (await run(['list', '--json', '--type', 'system-state', '--older-than', '0s'])).stdout,
  );
  assert.is((typed.letters as unknown[]).length, 1);
  const counts = parsed((await run(['list', '--counts', '--json'])).stdout);
  assert.equal(
    [counts.total, counts.byCode],
    [2, { ESPER_OONA_DELIVERIES_EXHAUSTED: 1, ESPER_OONA_TOO_OLD: 1 }],
  );
});

test('[R-O6] show decodes what verifies, and says plainly what does not', async () => {
  const { streams, bury } = bench;
  const good = await run(['show', await bury(sealedState(streams.normal, { event_id: 'e1' }))]);
  assert.is(good.code, 0, good.stderr);
  assert.match(good.stdout, /verified with key/);
  assert.match(good.stdout, /"currentEpoch": 3/);
  assert.match(good.stdout, /attribute event_id +e1/);
  const foreignId = await bury(sealedState(streams.normal, {}, otherKeyRing));
  const foreign = await run(['show', foreignId]);
  assert.is(foreign.code, 0);
  assert.match(foreign.stdout, /NOT VERIFIED.*ESPER_LEYLINE_SIGNATURE_MISMATCH/);
  assert.match(foreign.stdout, /original, base64: /);
  const json = parsed((await run(['show', foreignId, '--json'])).stdout);
  assert.equal([(json.verified as { ok: boolean }).ok, json.message], [false, undefined]);
  const absent = await run(['show', '17-3']);
  assert.is(absent.code, 4);
  assert.match(absent.stderr, /no dead letter 17-3/);
});

test('[R-O6] replay brings messages back, by id and by condition', async () => {
  const { streams, bury, read, all } = bench;
  const ids = [await bury(sealedState(streams.normal)), await bury(sealedState(streams.normal))];
  const foreign = await bury(sealedState(streams.normal, {}, otherKeyRing), { reason: 'ESPER_X' });
  const byId = await run(['replay', ids[0] as string, '--json']);
  assert.is(byId.code, 0, byId.stderr);
  assert.equal([parsed(byId.stdout).replayed, (await read(streams.normal)).length], [1, 4]);
  const all1 = await run(['replay', '--all']);
  assert.is(all1.code, 1, 'one is refused');
  assert.match(all1.stdout, /ESPER_LEYLINE_SIGNATURE_MISMATCH/);
  assert.match(all1.stdout, /1 replayed, 0 replayed before, 1 refused, 0 not found/);
  const previous = { ESPER_LEYLINE_SECRET: 'the secret after the rotation' };
  const rotated = { ...previous, ESPER_LEYLINE_PREVIOUS_SECRETS: `${SECRET}, a secret of somebody else` };
  assert.is((await run(['replay', '--code', 'ESPER_X'], rotated)).code, 0, 'a previous secret verifies');
  assert.equal([(await all()).length, (await read(streams.normal)).length], [0, 6]);
  assert.is((await run(['replay', foreign])).code, 4);
});

test('[R-O6] a replay that is killed and repeated stores every message once', async () => {
  const { streams, bury, all } = bench;
  const letters = 1500;
  for (let i = 0; i < letters; i++)
    await bury(sealedState(streams.normal, { event_id: `e${i}` }), { maxLength: 2000 });
  const lengthOf = async (): Promise<number> => (await transport.depth(streams.normal, 1, calls)).length;
  const script = fileURLToPath(new URL('../../src/cli/esper-fastpath.ts', import.meta.url));
  const where = ['--dead-letter-stream', streams.deadLetter, '--limit', '100000', '--all'];
  let kills = 0;
  for (const share of [0.2, 0.6]) {
    const args = ['--import', 'tsx', script, 'dead-letters', 'replay', ...where];
    const child = spawn(process.execPath, args, {
      env: { PATH: process.env.PATH, ...environment() },
      stdio: 'ignore',
    });
    const ended = once(child, 'exit');
    while (child.exitCode === null && (await lengthOf()) < letters * (1 + share)) await delay(1);
    child.kill('SIGKILL');
    await ended;
    if (child.signalCode === 'SIGKILL') kills += 1;
  }
  assert.is(kills, 2, 'both were killed at work');
  const left = (await all()).length;
  assert.ok(left > 0 && left < letters, `${left} letters are left`);
  const { code, stderr } = await run(['replay', '--all', '--limit', '100000']);
  assert.is(code, 0, stderr);
  assert.equal([(await all()).length, await lengthOf()], [0, 2 * letters]);
  const replayed = await transport.range(
    { stream: streams.normal, after: '', newestFirst: true, count: letters },
    calls,
  );
  const eventIds = replayed.map(({ fields }) => {
    const [payload, signature] = [fields.get('payload'), fields.get('signature')];
    const entry = {
      payload: payload ?? new Uint8Array(0),
      signature: Buffer.from(signature ?? []).toString('latin1'),
    };
    return openEnvelope(entry, keyRing).attributes.event_id;
  });
  assert.is(new Set(eventIds).size, letters);
});

test('[R-O6] as-is and a new event id are for who asks for them', async () => {
  const { streams, bury, all } = bench;
  const foreign = await bury(sealedState(streams.normal, {}, otherKeyRing));
  const replayed = await bury(sealedState(streams.normal), { reason: 'ESPER_OONA_REPLAYED' });
  assert.is((await run(['replay', foreign, replayed])).code, 1);
  assert.is((await all()).length, 2);
  assert.is((await run(['replay', foreign, '--as-is'])).code, 0);
  assert.is((await run(['replay', replayed, '--new-event-id'])).code, 0);
  assert.is((await all()).length, 0);
});

test('[R-O6] purge removes only what is meant, and only with --yes', async () => {
  const { streams, bury, all } = bench;
  const ids = [await bury(sealedState(streams.normal)), await bury(sealedState(streams.normal))];
  const refused = await run(['purge', '--all']);
  assert.is(refused.code, 2);
  assert.match(refused.stderr, /--yes/);
  assert.is((await run(['purge', '--older-than', '1h', '--yes'])).code, 0);
  assert.is((await all()).length, 2);
  const byId = await run(['purge', ids[0] as string, '17-3', '--yes']);
  assert.equal([byId.code, byId.stdout], [0, '1 removed\n']);
  assert.match(byId.stderr, /1 of the ids are no letters/);
  assert.equal(parsed((await run(['purge', '--all', '--yes', '--json'])).stdout), {
    removed: 1,
    notFound: 0,
  });
  assert.is((await run(['purge', ids[0] as string, '--yes'])).code, 4);
});

test('[R-O6] bad arguments exit with 2, and help has examples', async () => {
  const bad = await run(['list', '--older-than', '3']);
  assert.is(bad.code, 2);
  assert.match(bad.stderr, /15m/);
  const { code, stdout } = await run(['replay', '--help']);
  assert.is(code, 0);
  assert.match(stdout, /Examples:\n {2}esper-fastpath dead-letters/);
  assert.match(stdout, /REDIS_URL/);
});

test('[R-O6] Redis away ends with 1, soon, and no secret is told', async () => {
  for (const args of [['list'], ['replay', '17-3']]) {
    const { code, stdout, stderr } = await run(args, { REDIS_URL: 'redis://:hunter2@127.0.0.1:1' });
    assert.is(code, 1, args.join(' '));
    assert.match(stderr, /esper-fastpath: /);
    assert.not.match(stdout + stderr, /hunter2/);
  }
});

test('[R-O6] letters of a stream that the environment does not name are not replayed', async () => {
  const letterId = await bench.bury(sealedState(bench.streams.normal));
  const { stdout, code } = await run(['replay', letterId], { OONA_NORMAL_STREAM: ownStreams().normal });
  assert.is(code, 1);
  assert.match(stdout, /ESPER_OONA_UNKNOWN_STREAM/);
});

test.run();
