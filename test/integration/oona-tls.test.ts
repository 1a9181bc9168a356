// watchdog: 120 s
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { redisTlsFromEnvironment } from '../../src/oona/transport/redis-tls.ts';
import { closeAfterEach, server } from '../helpers/oona-hosts.ts';
import { createAuthority } from '../helpers/redis-tls.ts';
import { codeOf, roundTrip, transportOf } from '../helpers/redis-traffic.ts';

const test = suite('oona over TLS');
closeAfterEach(test);

const CALL = Object.freeze({ deadlineMs: 3000 });
const authority = createAuthority();
const LOOPBACK = ['IP:127.0.0.1', 'DNS:localhost'];

test('[R-O1] works with the authority given by option or by environment', async () => {
  const certificate = authority.issue('redis', LOOPBACK);
  const redis = await server({ tls: certificate, args: ['--tls-auth-clients', 'no'] });
  assert.match(redis.url, /^rediss:/);
  await roundTrip(transportOf({ url: redis.url, tls: { ca: readFileSync(authority.ca) } }), 'oona.normal');
  const tls = redisTlsFromEnvironment({
    OONA_REDIS_TLS_CA: authority.ca,
    OONA_REDIS_TLS_SERVERNAME: 'localhost',
  });
  await roundTrip(transportOf({ url: redis.url, ...(tls === undefined ? {} : { tls }) }), 'oona.normal');
  const ca = readFileSync(authority.ca, 'utf8');
  await roundTrip(transportOf({ nodes: [`localhost:${redis.port}`], tls: { ca } }), 'oona.normal');
});

test('[R-O1] a server that wants to know its clients gets certificate and key, or refuses', async () => {
  const redis = await server({ tls: authority.issue('redis', LOOPBACK) });
  const mine = authority.issue('trainer', ['DNS:trainer']);
  const ca = readFileSync(authority.ca);
  const withKey = { ca, cert: readFileSync(mine.cert), key: readFileSync(mine.key) };
  const transport = transportOf({ url: redis.url, tls: withKey });
  await roundTrip(transport, 'oona.normal');
  assert.not.match(inspect(transport, { depth: 9, showHidden: true }), 'PRIVATE KEY');
  const without = await codeOf(transportOf({ url: redis.url, tls: { ca } }).ping(CALL));
  assert.ok(['ESPER_OONA_TLS', 'ESPER_OONA_DISCONNECTED'].includes(without), without);
});

test('[R-O1] a certificate of somebody else is refused, whatever the environment says', async () => {
  const foreign = createAuthority();
  const redis = await server({ tls: foreign.issue('redis', LOOPBACK), args: ['--tls-auth-clients', 'no'] });
  const elsewhere = await server({
    tls: authority.issue('redis', ['DNS:redis.example']),
    args: ['--tls-auth-clients', 'no'],
  });
  const ca = readFileSync(authority.ca);
  const failureOf = async (url: string, tls: object): Promise<string> =>
    codeOf(transportOf({ url, tls }).ping(CALL));
  const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
  try {
    assert.is(await failureOf(redis.url, { ca }), 'ESPER_OONA_TLS');
    assert.is(await failureOf(redis.url, {}), 'ESPER_OONA_TLS');
    assert.is(await failureOf(elsewhere.url, { ca }), 'ESPER_OONA_TLS');
  } finally {
    if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
  }
  assert.is(await failureOf(elsewhere.url, { ca, servername: 'redis.example' }), 'ok');
});

test('[R-O1] plain text to a TLS port and TLS to a plain port end typed, not hanging', async () => {
  const secure = await server({
    tls: authority.issue('redis', LOOPBACK),
    args: ['--tls-auth-clients', 'no'],
  });
  const plain = await server();
  const failure = async (transport: ReturnType<typeof transportOf>): Promise<Error & { code: string }> =>
    transport.ping(CALL).then(
      () => assert.unreachable(),
      (error: unknown) => error as Error & { code: string },
    ) as Promise<Error & { code: string }>;
  const toSecure = await failure(transportOf({ url: `redis://127.0.0.1:${secure.port}` }));
  const tls = { ca: readFileSync(authority.ca) };
  const toPlain = await failure(transportOf({ url: `rediss://127.0.0.1:${plain.port}`, tls }));
  for (const { code, message } of [toSecure, toPlain]) {
    assert.ok(['ESPER_OONA_TLS', 'ESPER_OONA_DISCONNECTED'].includes(code), code);
    assert.match(message, /TLS/);
  }
});

test.run();
