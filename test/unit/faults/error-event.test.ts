import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { contextText, cutText } from '../../../src/faults/context-text.ts';
import { ERROR_CODES, type ErrorEvent, errorCodeEntry } from '../../../src/faults/error-event.ts';
import { fromErrorMessage, toErrorMessage } from '../../../src/faults/error-wire.ts';
import { makeEvent } from '../../../src/faults/make-event.ts';
import { isSecretKey, maskText } from '../../../src/faults/masking.ts';
import { decodeMessage, encodeMessage } from '../../../src/leyline/codec.ts';
import { BusMessageType, ErrorEvent as WireErrorEvent } from '../../../src/leyline/messages.ts';
import { CRITICAL, ERROR, errorReport, INFO, present, WARNING } from '../../helpers/faults.ts';

const { BUS_MESSAGE_TYPE_ERROR_EVENT: ERROR_EVENT } = BusMessageType;
const test = suite('error events');

const text = (value: unknown): string => present(contextText({ value }).value);

test('[R-E2] each code of this package has its type, any other is of the engine', () => {
  const types = Object.entries(ERROR_CODES).map(([code, { type }]) => `${code} ${type}`);
  assert.ok(types.includes('MEMORY_PRESSURE pipeline.error.memory_pressure'));
  assert.ok(types.includes('BUFFER_SATURATED pipeline.error.buffer_saturated'));
  assert.ok(types.includes('BACK_PRESSURE_ACTIVE pipeline.error.publish_blocked'));
  assert.ok(types.includes('EVENT_DROPPED pipeline.error.event_dropped'));
  assert.ok(types.includes('ADAPTER_CIRCUIT_OPEN pipeline.error.adapter_failed'));
  assert.ok(types.includes('EMITTER_FAILED pipeline.error.emitter_failed'));
  const sixAndEngine = new Set(types.map((one) => one.split(' ')[1]?.replace(/(engine)\..*/, '$1')));
  assert.is(sixAndEngine.size, 7);
  assert.is(errorCodeEntry('constructor').type, 'pipeline.engine.other');
});

test('[R-E1] context of any kind becomes text', () => {
  class Point {
    x = 1;
  }
  const context = {
    text: 'as it is',
    number: 87.5,
    big: 12345678901234567890n,
    nothing: undefined,
    none: null,
    symbol: Symbol('s'),
    run: () => 1,
    date: new Date(0),
    noDate: new Date(Number.NaN),
    error: new TypeError('bad'),
    bytes: new Uint8Array(38_000_000),
    buffer: new ArrayBuffer(8),
    list: [1, 'two', { three: 3n }],
    map: new Map<unknown, unknown>([['a', 1]]),
    set: new Set([1, 2]),
    point: new Point(),
    deep: { a: { b: { c: { d: { e: 1 } } } } },
  };
  assert.equal(contextText(context), {
    text: 'as it is',
    number: '87.5',
    big: '12345678901234567890',
    nothing: 'undefined',
    none: 'null',
    symbol: 'Symbol(s)',
    run: '(function)',
    date: '1970-01-01T00:00:00.000Z',
    noDate: 'Invalid Date',
    error: 'TypeError: bad',
    bytes: '(Uint8Array, 38000000 bytes)',
    buffer: '(ArrayBuffer, 8 bytes)',
    list: '[1,"two",{"three":3}]',
    map: '{"a":1}',
    set: '[1,2]',
    point: '{"x":1}',
    deep: '{"a":{"b":{"c":{"d":{…}}}}}',
  });
});

test('[R-E1] cycles, getters and proxies that throw, and a key called __proto__ do no harm', () => {
  const cycle: Record<string, unknown> = { a: 1 };
  cycle.self = cycle;
  const shared = { x: 1 };
  const thrower = {
    get bad(): string {
      throw new Error('no');
    },
    good: 1,
  };
  const nasty = {
    get bad(): string {
      throw { toString: () => assert.unreachable() };
    },
  };
  assert.is(text(cycle), '{"a":1,"self":(cycle)}');
  assert.is(text([shared, shared]), '[{"x":1},{"x":1}]', 'twice is no cycle');
  assert.is(text(thrower), '{"bad":(threw: no),"good":1}');
  assert.equal(contextText(thrower), { bad: '(threw: no)', good: '1' });
  assert.equal(contextText(nasty), { bad: '(threw)' });
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  assert.match(text(proxy), /^\(threw/);
  assert.match(contextText(proxy)['…'] ?? '', /^\(threw/);
  const polluted = contextText(JSON.parse('{"__proto__": "x"}'));
  assert.equal(Object.entries(polluted), [['__proto__', 'x']]);
  for (const none of [undefined, null, 'text', 5]) assert.equal(contextText(none), {});
});

test('[R-E1] what is large is cut, and says so', () => {
  const million = 'x'.repeat(1_048_576);
  assert.is(text(million), `${'x'.repeat(1024)}… (1047552 more characters)`);
  const cut = text({ million, other: 1 });
  assert.ok(cut.length < 1100 && cut.endsWith('… (cut)'), cut);
  assert.match(text(Array.from({ length: 1000 }, () => 1)), /,1,… 984 more\]$/);
  assert.match(text(new Map(Array.from({ length: 50 }, (_, i) => [i, i]))), /… 34 more\}$/);
  const many = contextText(Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, i])));
  assert.is(Object.keys(many).length, 33);
  assert.is(many['…'], '68 more keys');
  const heavy = contextText(Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`k${i}`, million])));
  const size = Object.entries(heavy).reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  assert.ok(size > 8000 && size < 9500, String(size));
  assert.match(heavy['…'] ?? '', /more keys/);
  assert.ok(text('😀'.repeat(2000)).isWellFormed());
  assert.ok(cutText(`a${'😀'.repeat(9)}`, 4).isWellFormed());
  assert.is(cutText('lone \ud83d', 100), 'lone \ufffd');
});

test('[R-E1] secrets are masked by key, wherever it stands', () => {
  const secrets = {
    password: 'a',
    apiKey: 'b',
    'X-Api-Key': 'c',
    authorization: 'd',
    accessToken: ['e'],
    REDIS_PASSWORD: 'f',
    clientSecret: { g: 1 },
    cookie: 'h',
    privateKey: Buffer.from('i'),
  };
  for (const shown of Object.values(contextText(secrets))) assert.is(shown, '***');
  assert.is(
    text({ deep: [{ cookie: 'x', list: new Map([['sessionId', 'y']]) }] }),
    '{"deep":[{"cookie":"***","list":{"sessionId":"***"}}]}',
  );
  const harmless = ['author', 'monkey', 'keyboard', 'passes', 'key', 'cwd', 'authored_by'];
  for (const key of harmless) assert.not(isSecretKey(key, 'x'), key);
  assert.not(isSecretKey('maxTokens', 512));
  assert.ok(isSecretKey('tokens', ['x']));
  assert.is(text(['Cookie', 'a=b', 'Host', 'c']), '["Cookie","***","Host","c"]');
  assert.is(text([['apiKey', 'x']]), '[["apiKey","***"]]');
});

test('[R-E1] and in texts: URLs with passwords, also cut ones, headers, assignments', () => {
  const masked: [string, string][] = [
    ['redis://user:p@ss@host:6379/0', 'redis://***@host:6379/0'],
    ['two: rediss://:a@b amqp://c:d@e/f', 'two: rediss://***@b amqp://***@e/f'],
    ['Authorization: Bearer abc.def-ghi', 'Authorization: ***'],
    ['sent bearer abcdefgh12', 'sent bearer ***'],
    ['GET /x?token=abc&page=2', 'GET /x?token=***&page=2'],
    ['{"password":"hunter2","n":1}', '{"password":"***","n":1}'],
    ['{"password":"two words \\"q\\"","n":1}', '{"password":"***","n":1}'],
    ['{"body":"{\\"secret\\":\\"a b\\",\\"n\\":1}"}', '{"body":"{\\"secret\\":\\"***\\",\\"n\\":1}"}'],
    ['GET /x?page=2&key=abc&sig=d', 'GET /x?page=2&key=***&sig=***'],
    ['psql --password abc -U me', 'psql --password *** -U me'],
    ['cookie: a=b; c=d\r\nhost: e', 'cookie: ***\r\nhost: e'],
    ['got eyJhbGciOi.eyJzdWIi.c2ln', 'got ***'],
    ['-----BEGIN PRIVATE KEY-----\nMII\n-----END', '-----BEGIN PRIVATE KEY-----***-----END'],
  ];
  for (const [given, shown] of masked) assert.is(maskText(given), shown);
  const clean = ['http://host:8080/a@b', 'see http://h:80 or mail a@b.c', 'used 5 tokens: all', 'at 87 %'];
  for (const given of clean) assert.is(maskText(given), given);
  const url = `redis://user:${'p'.repeat(40)}@host`;
  assert.not(cutText(`${'x'.repeat(10)} ${url}`, 40).includes('ppp'));
  assert.not(text([url]).includes('ppp'));
});

const place = {
  ...{ id: 'id-1', code: 'MEMORY_PRESSURE', component: 'monitor:memory', severity: WARNING },
  ...{ recoverable: true, occurredAtMs: 1_700_000_000_123 },
};

test('[R-E1] message and stack are cut and masked too; causes are in the stack', () => {
  const cause = new Error('connect redis://u:pw@h refused');
  const report = errorReport({
    message: `no redis://u:pw@h ${'x'.repeat(5000)}`,
    error: new Error('outer', { cause }),
  });
  const { message, stackTrace, type } = makeEvent(report, place);
  assert.is(type, 'pipeline.error.memory_pressure');
  assert.ok(message.startsWith('no redis://***@h x') && message.endsWith('more characters)'));
  assert.match(
    stackTrace,
    /^Error: outer\n(?:.|\n)*\ncaused by: Error: connect redis:\/\/\*\*\*@h refused\n/,
  );
  assert.is(makeEvent(errorReport({ error: 'a text' }), place).stackTrace, 'a text');
  const unreadable = new Error('x');
  Object.defineProperty(unreadable, 'stack', { get: () => assert.unreachable() });
  assert.is(makeEvent(errorReport({ error: unreadable }), place).stackTrace, '(its stack cannot be read)');
  const endless = new Error('loop');
  endless.cause = endless;
  assert.ok(makeEvent(errorReport({ error: endless }), place).stackTrace.length < 9000);
});

test('[R-E1] an event goes through Leyline and back unchanged', () => {
  const report = errorReport({ context: { n: 1n, text: 'é' }, error: new Error('x') });
  const event: ErrorEvent = { ...makeEvent(report, place), count: 2 ** 40 };
  const bytes = encodeMessage(ERROR_EVENT, toErrorMessage(event));
  const back = fromErrorMessage(decodeMessage(ERROR_EVENT, bytes));
  assert.equal(back, event);
  assert.ok(Object.isFrozen(back) && Object.isFrozen(back.context));
});

test('[R-E1] what a peer left out, or has and we do not know, is the usual of its code', () => {
  const bare = fromErrorMessage(WireErrorEvent.create({ code: 'ADAPTER_CIRCUIT_OPEN', component: 'x' }));
  assert.is(bare.severity, CRITICAL);
  assert.is(bare.type, 'pipeline.error.adapter_failed');
  assert.is(bare.count, 1);
  assert.is(bare.occurredAtMs, 0);
  const strange = fromErrorMessage(
    WireErrorEvent.create({ code: 'NEW', severity: 77 as never, type: 'pipeline.error.new_kind' }),
  );
  assert.equal([strange.severity, strange.type], [ERROR, 'pipeline.engine.other']);
  const engine = fromErrorMessage(
    WireErrorEvent.create({ code: 'NEW', severity: INFO, type: 'pipeline.engine.started' }),
  );
  assert.equal([engine.severity, engine.type], [INFO, 'pipeline.engine.started']);
});

test.run();
