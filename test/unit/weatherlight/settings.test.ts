import { inspect } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SettingsError } from '../../../src/weatherlight/errors.ts';
import { describeSettings, type Environment, loadSettings } from '../../../src/weatherlight/settings.ts';
import { createAuthority } from '../../helpers/redis-tls.ts';

const test = suite('weatherlight settings');
const certificate = createAuthority().issue('trainer', ['DNS:trainer']);
const SECRET = 'correct horse battery staple';

function refused(env: Environment): SettingsError {
  try {
    loadSettings(env);
  } catch (error) {
    if (error instanceof SettingsError) return error;
    throw error;
  }
  throw new Error('the settings were accepted');
}

test('[R-W1] defaults are those that peers share', () => {
  const settings = loadSettings({ ESPER_LEYLINE_SECRET: SECRET });
  assert.is(settings.runId, 'default');
  assert.is(settings.signalName, 'emergency-default');
  assert.is(settings.streams.emergency, 'oona.emergency');
  assert.is(settings.streams.telemetry, 'oona.telemetry');
  assert.is(settings.messageTtlMs, 900_000);
  assert.is(settings.outboxDelayMs, 10);
  assert.is(settings.haltAckTimeoutMs, 100);
  assert.is(settings.shutdownDeadlineMs, 5000);
  assert.is(settings.telemetryIntervalMs, 10_000);
  assert.is(settings.obeyForeignRuns, false);
  assert.is(settings.fastPathEnabled, true);
  assert.is(settings.redisUrl, undefined);
  assert.equal([settings.redisTls, settings.waitReplicas], [{}, 0]);
  assert.is(settings.secret?.reveal(), SECRET);
  assert.ok(settings.hostId.length > 0);
  assert.ok(Object.isFrozen(settings) && Object.isFrozen(settings.streams));
});

test('[R-W1] every variable is read', () => {
  const settings = loadSettings({
    ESPER_LEYLINE_SECRET: SECRET,
    ESPER_LEYLINE_PREVIOUS_SECRETS: 'an older secret of ours, the oldest of the secrets',
    REDIS_URL: 'rediss://127.0.0.1:7000/2',
    OONA_REDIS_TLS_CA: certificate.ca,
    OONA_REDIS_TLS_CERT: certificate.cert,
    OONA_REDIS_TLS_KEY: certificate.key,
    OONA_REDIS_TLS_SERVERNAME: 'redis.internal',
    OONA_REDIS_WAIT_REPLICAS: '2',
    OONA_NORMAL_STREAM: 'a.normal',
    OONA_EMERGENCY_STREAM: 'a.emergency',
    OONA_TELEMETRY_STREAM: 'a.telemetry',
    OONA_POLICY_STREAM: 'a.policy',
    OONA_MESSAGE_TTL_MS: '60000',
    ESPER_HOST_ID: 'host-7',
    ESPER_RUN_ID: 'run-9',
    TOLARIA_EMERGENCY_FAST_PATH_ENABLED: 'false',
    ESP_LOG_LEVEL: 'WARNING',
    WEATHERLIGHT_OUTBOX_DELAY_MS: '20',
    WEATHERLIGHT_HALT_ACK_TIMEOUT_MS: '250',
    WEATHERLIGHT_SHUTDOWN_DEADLINE_MS: '1000',
    WEATHERLIGHT_TELEMETRY_INTERVAL_MS: '500',
    WEATHERLIGHT_OBEY_FOREIGN_RUNS: '1',
  });
  assert.equal(
    settings.previousSecrets.map((secret) => secret.reveal()),
    ['an older secret of ours', 'the oldest of the secrets'],
  );
  assert.equal(settings.streams, {
    normal: 'a.normal',
    emergency: 'a.emergency',
    telemetry: 'a.telemetry',
    policy: 'a.policy',
  });
  assert.is(settings.redisUrl?.reveal(), 'rediss://127.0.0.1:7000/2');
  assert.equal(settings.redisTls, {
    OONA_REDIS_TLS_CA: certificate.ca,
    OONA_REDIS_TLS_CERT: certificate.cert,
    OONA_REDIS_TLS_KEY: certificate.key,
    OONA_REDIS_TLS_SERVERNAME: 'redis.internal',
  });
  assert.is(settings.waitReplicas, 2);
  assert.equal(
    [settings.hostId, settings.runId, settings.signalName, settings.logLevel],
    ['host-7', 'run-9', 'emergency-run-9', 'warn'],
  );
  assert.equal([settings.messageTtlMs, settings.outboxDelayMs, settings.haltAckTimeoutMs], [60_000, 20, 250]);
  assert.equal([settings.shutdownDeadlineMs, settings.telemetryIntervalMs], [1000, 500]);
  assert.equal([settings.fastPathEnabled, settings.obeyForeignRuns], [false, true]);
});

test('[R-W1] a missing secret is its own error and says how to set it', () => {
  for (const env of [{}, { ESPER_LEYLINE_SECRET: '' }]) {
    const error = refused(env);
    assert.is(error.code, 'ESPER_WEATHERLIGHT_SETTING_MISSING');
    assert.match(error.message, /ESPER_LEYLINE_SECRET/);
    assert.match(error.message, /ESPER_ALLOW_UNSIGNED=1/);
  }
});

test('[R-W1] unsigned only on the embedded bus, and only when asked', () => {
  assert.is(loadSettings({ ESPER_ALLOW_UNSIGNED: '1' }).secret, undefined);
  const overRedis = refused({ ESPER_ALLOW_UNSIGNED: '1', REDIS_URL: 'redis://127.0.0.1' });
  assert.is(overRedis.code, 'ESPER_WEATHERLIGHT_SETTING_MISSING');
  assert.match(overRedis.message, /REDIS_URL is set/);
  assert.is(refused({ ESPER_ALLOW_UNSIGNED: '0' }).code, 'ESPER_WEATHERLIGHT_SETTING_MISSING');
  assert.is(
    loadSettings({ ESPER_ALLOW_UNSIGNED: '1', ESPER_LEYLINE_SECRET: SECRET }).secret?.reveal(),
    SECRET,
  );
});

const BAD: readonly (readonly [variable: string, value: string])[] = [
  ['REDIS_URL', 'http://127.0.0.1'],
  ['REDIS_URL', 'redis://127.0.0.1/not-a-number'],
  ['REDIS_URL', 'redis+sentinel://127.0.0.1'],
  ['OONA_REDIS_TLS_CA', 'a\nb'],
  ['OONA_REDIS_TLS_SERVERNAME', 'a b'],
  ['OONA_REDIS_WAIT_REPLICAS', '9'],
  ['OONA_REDIS_WAIT_REPLICAS', '-1'],
  ['OONA_EMERGENCY_STREAM', 'has space'],
  ['OONA_MESSAGE_TTL_MS', '10'],
  ['OONA_MESSAGE_TTL_MS', '1e6'],
  ['ESPER_HOST_ID', 'höst'],
  ['ESPER_RUN_ID', 'a b'],
  ['ESPER_RUN_ID', 'team/run'],
  ['TOLARIA_EMERGENCY_SIGNAL_NAME', 'a/b'],
  ['TOLARIA_EMERGENCY_SIGNAL_NAME', 'x'.repeat(300)],
  ['TOLARIA_EMERGENCY_FAST_PATH_ENABLED', 'yes'],
  ['ESP_LOG_LEVEL', 'loud'],
  ['WEATHERLIGHT_OUTBOX_DELAY_MS', '0'],
  ['WEATHERLIGHT_OUTBOX_DELAY_MS', '-1'],
  ['WEATHERLIGHT_OUTBOX_DELAY_MS', '1.5'],
  ['WEATHERLIGHT_HALT_ACK_TIMEOUT_MS', 'soon'],
  ['WEATHERLIGHT_SHUTDOWN_DEADLINE_MS', '99'],
  ['WEATHERLIGHT_TELEMETRY_INTERVAL_MS', '99'],
  ['WEATHERLIGHT_OBEY_FOREIGN_RUNS', 'maybe'],
];

for (const [variable, value] of BAD) {
  test(`[R-W1] ${variable}=${value.slice(0, 20)} is refused by name, value and what is allowed`, () => {
    const error = refused({ ESPER_LEYLINE_SECRET: SECRET, [variable]: value });
    assert.is(error.code, 'ESPER_WEATHERLIGHT_SETTING_INVALID');
    assert.equal(
      error.problems.map((problem) => problem.variable),
      [variable],
    );
    assert.ok(error.message.includes(value.slice(0, 100)));
    assert.match(error.message, /allowed: \S/);
  });
}

test('[R-W1][R-O1] TLS files that are missing, damaged or of no use with the URL are refused before the start', () => {
  const { ca, cert, key } = certificate;
  const REDIS_URL = 'rediss://127.0.0.1';
  const rows: [Environment, string, RegExp][] = [
    [{ REDIS_URL, OONA_REDIS_TLS_CA: '/nowhere/ca.pem' }, 'OONA_REDIS_TLS_CA', /nowhere.*ENOENT/],
    [{ REDIS_URL, OONA_REDIS_TLS_CA: ca, OONA_REDIS_TLS_KEY: '/nowhere/k' }, 'OONA_REDIS_TLS_KEY', /ENOENT/],
    [{ REDIS_URL, OONA_REDIS_TLS_CA: '/etc/hostname' }, 'OONA_REDIS_TLS_CA', /PEM/],
    [{ REDIS_URL, OONA_REDIS_TLS_CERT: cert }, 'OONA_REDIS_TLS_CERT', /both or neither/],
    [{ REDIS_URL: 'redis://127.0.0.1', OONA_REDIS_TLS_CA: ca }, 'OONA_REDIS_TLS_CA', /write rediss/],
    [
      { REDIS_URL, OONA_REDIS_TLS_CERT: ca, OONA_REDIS_TLS_KEY: key },
      'OONA_REDIS_TLS_CERT',
      /no TLS context/,
    ],
  ];
  for (const [env, variable, text] of rows) {
    const error = refused({ ESPER_LEYLINE_SECRET: SECRET, ...env });
    assert.equal(
      error.problems.map((problem) => problem.variable),
      [variable],
    );
    assert.match(error.message, text);
    assert.not.match(error.message, 'PRIVATE KEY');
  }
  const embedded = loadSettings({ ESPER_LEYLINE_SECRET: SECRET, OONA_REDIS_TLS_CA: '/nowhere/ca.pem' });
  assert.match(embedded.warnings.join(), /OONA_REDIS_TLS_CA has no effect: REDIS_URL is not set/);
});

test('[R-W1] all problems are told at once', () => {
  const error = refused({ ESP_LOG_LEVEL: 'loud', WEATHERLIGHT_OBEY_FOREIGN_RUNS: 'maybe' });
  assert.equal(
    error.problems.map((problem) => problem.variable),
    ['ESPER_LEYLINE_SECRET', 'ESP_LOG_LEVEL', 'WEATHERLIGHT_OBEY_FOREIGN_RUNS'],
  );
});

test('[R-W1] telemetry on the emergency stream is refused: each emergency would be answered with one more', () => {
  const error = refused({ ESPER_LEYLINE_SECRET: SECRET, OONA_TELEMETRY_STREAM: 'oona.emergency' });
  assert.is(error.problems[0]?.variable, 'OONA_TELEMETRY_STREAM');
});

test('[R-W1] secrets reach neither the table nor a log nor an error', () => {
  const password = 'hunter2-hunter2';
  const settings = loadSettings({
    ESPER_LEYLINE_SECRET: SECRET,
    ESPER_LEYLINE_PREVIOUS_SECRETS: `${SECRET}-old`,
    REDIS_URL: `redis://user:${password}@127.0.0.1:7000/2`,
  });
  const rows = describeSettings(settings);
  const shown = [
    JSON.stringify(rows),
    JSON.stringify(settings),
    inspect(settings, { depth: 9 }),
    `${settings.secret}`,
  ];
  for (const text of shown) {
    assert.not.match(text, /horse/);
    assert.not.match(text, new RegExp(password));
  }
  assert.match(rows.find((row) => row.variable === 'REDIS_URL')?.value ?? '', /\*\*\*@127\.0\.0\.1:7000\/2/);
  const short = refused({ ESPER_LEYLINE_SECRET: 'tiny-one', ESPER_LEYLINE_PREVIOUS_SECRETS: 'tiny-two' });
  assert.not.match(short.message, /tiny/);
  const url = refused({ ESPER_LEYLINE_SECRET: SECRET, REDIS_URL: `http://user:${password}@127.0.0.1` });
  assert.not.match(url.message, new RegExp(password));
});

test('[R-W1] the table names every variable with its source', () => {
  const rows = describeSettings(loadSettings({ ESPER_LEYLINE_SECRET: SECRET, ESPER_RUN_ID: 'r1' }));
  const sources = Object.fromEntries(rows.map((row) => [row.variable, row.source]));
  assert.is(sources.ESPER_LEYLINE_SECRET, 'environment');
  assert.is(sources.ESPER_RUN_ID, 'environment');
  assert.is(sources.REDIS_URL, 'default');
  assert.is(rows.find((row) => row.variable === 'TOLARIA_EMERGENCY_SIGNAL_NAME')?.value, 'emergency-r1');
});

test('[R-W1] a misspelt variable is told', () => {
  const settings = loadSettings({ ESPER_LEYLINE_SECRET: SECRET, WEATHERLIGHT_OUTBOX_DELAY: '5' });
  assert.is(settings.warnings.length, 1);
  assert.match(settings.warnings[0] ?? '', /WEATHERLIGHT_OUTBOX_DELAY .*WEATHERLIGHT_OUTBOX_DELAY_MS/);
});

test.run();
