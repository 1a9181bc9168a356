import { ReplyError } from 'ioredis';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { clusterWarnings, serverWarnings } from '../../../src/oona/transport/redis-checks.ts';
import { parseSlots, SlotMap, slotOf } from '../../../src/oona/transport/redis-cluster-slots.ts';
import { RedirectError, replyKind, toTransportError } from '../../../src/oona/transport/redis-errors.ts';

const test = suite('oona what Redis says of itself');
const typed = (error: unknown) => toTransportError(error, 'append to s', 'redis+cluster://h');

test('[R-O1] redirects are taken apart; what does not name a place is no redirect', () => {
  const rows: [string, [string, number, string, number]][] = [
    ['MOVED 3999 10.0.0.1:6381', ['moved', 3999, '10.0.0.1', 6381]],
    ['ASK 1 redis-1.example:7', ['ask', 1, 'redis-1.example', 7]],
    ['MOVED 5 ::1:7000', ['moved', 5, '::1', 7000]],
    // The host that answered.
    ['MOVED 5 :7000', ['moved', 5, '', 7000]],
    ['MOVED 5 ?:7000', ['moved', 5, '', 7000]],
  ];
  for (const [reply, [kind, slot, host, port]] of rows) {
    const error = typed(new ReplyError(reply));
    assert.instance(error, RedirectError, reply);
    const redirect = error as RedirectError;
    assert.equal(
      [redirect.kind, redirect.slot, redirect.host, redirect.port],
      [kind, slot, host, port],
      reply,
    );
    assert.equal([redirect.code, redirect.retryable], ['ESPER_OONA_REDIS', true]);
  }
  for (const reply of ['MOVED', 'MOVED x h:1', 'MOVED 1 h', 'MOVED __proto__ h:1', 'ASK 1 h:x']) {
    assert.not.instance(typed(new ReplyError(reply)), RedirectError, reply);
  }
});

test('[R-O1] replies of a topology in trouble, and failures of TLS, have their codes', () => {
  const replies: [string, string, boolean][] = [
    ['TRYAGAIN Multiple keys request during rehashing of slot', 'ESPER_OONA_TRY_AGAIN', true],
    ['CLUSTERDOWN Hash slot not served', 'ESPER_OONA_TRY_AGAIN', true],
    [
      "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
      'ESPER_OONA_TRY_AGAIN',
      true,
    ],
    ["CROSSSLOT Keys in request don't hash to the same slot", 'ESPER_OONA_REDIS', false],
    ['NOREPLICAS Not enough good replicas to write.', 'ESPER_OONA_NOT_REPLICATED', true],
    ['ERR WAIT cannot be used with replica instances.', 'ESPER_OONA_READONLY', true],
  ];
  for (const [reply, code, retryable] of replies) {
    const error = typed(new ReplyError(reply));
    assert.equal([error.code, error.retryable], [code, retryable], reply);
  }
  assert.is(replyKind(typed(new ReplyError('TRYAGAIN Multiple keys'))), 'TRYAGAIN');
  assert.is(replyKind(typed(new Error('TRYAGAIN'))), '');
  for (const code of [
    'SELF_SIGNED_CERT_IN_CHAIN',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'CERT_HAS_EXPIRED',
    'EPROTO',
  ]) {
    const error = typed(Object.assign(new Error('refused'), { code }));
    assert.equal([error.code, error.retryable], ['ESPER_OONA_TLS', false], code);
  }
  const asked = 'failed to connect to sentinel h:1 because WRONGPASS invalid username-password pair';
  assert.is(typed(new Error(asked)).code, 'ESPER_OONA_AUTH');
  assert.is(typed(Object.assign(new Error('x'), { code: 'ECONNRESET' })).code, 'ESPER_OONA_DISCONNECTED');
});

test('[R-O1] the slot map takes what CLUSTER SLOTS answers and leaves what makes no sense', () => {
  assert.is(slotOf('{user}a'), slotOf('{user}b'));
  assert.is(slotOf('123456789'), 0x31c3);
  const node = (host: unknown, port: unknown): unknown[] => [host, port, 'id', []];
  const asked = { host: 'asked', port: 1 };
  const ranges = parseSlots(
    [
      [0, 100, node(Buffer.from('a'), 7000), node('replica', 7001)],
      [101, 200, node(null, 7002)],
      [201, 300, node(Buffer.from('?'), 7003)],
      [301, 16_384, node('b', 7004)],
      [-1, 5, node('b', 7004)],
      [301, 302, node('b', 0)],
      [301],
      'noise',
    ],
    asked,
  );
  assert.equal(
    ranges.map(({ from, to, primary: { host, port } }) => [from, to, host, port]),
    [
      [0, 100, 'a', 7000],
      [101, 200, 'asked', 7002],
      [201, 300, 'asked', 7003],
    ],
  );
  assert.equal(parseSlots('noise', asked), []);
  const map = new SlotMap(ranges);
  assert.equal(map.names, ['a:7000', 'asked:7002', 'asked:7003']);
  assert.equal(
    [map.ownerOf(100), map.ownerOf(101), map.ownerOf(16_383)],
    ['a:7000', 'asked:7002', undefined],
  );
  map.assign(101, { host: '::1', port: 5 });
  assert.is(map.ownerOf(101), '[::1]:5');
  assert.equal(map.node('[::1]:5'), { host: '::1', port: 5 });
});

test('[R-O1] warns of replicas, of missing persistence and of a Cluster that does not serve all', () => {
  const info = (role: string, aof: string): string =>
    `redis_version:7.0.15\r\nrole:${role}\r\naof_enabled:${aof}\r\n`;
  assert.equal(serverWarnings(info('master', '1')), []);
  assert.match(serverWarnings(info('slave', '1')).join(), 'replica');
  assert.match(serverWarnings(info('master', '0'), '').join(), 'nobody has read');
  assert.match(serverWarnings(info('master', '0'), '3600 1').join(), 'last snapshot (save 3600 1)');
  assert.equal(clusterWarnings('cluster_state:ok\r\ncluster_slots_assigned:16384\r\n'), []);
  assert.match(
    clusterWarnings('cluster_state:fail\r\ncluster_slots_assigned:16384\r\n').join(),
    'cluster_state',
  );
  assert.match(
    clusterWarnings('cluster_state:fail\r\ncluster_slots_assigned:16000\r\n').join(),
    '16000 of 16384',
  );
  assert.equal(clusterWarnings(''), []);
});

test.run();
