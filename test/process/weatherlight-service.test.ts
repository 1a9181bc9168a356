import { createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../src/leyline/messages.ts';
import { openEmergencySignal } from '../../src/signals/emergency-signal.ts';
import { type Service, startService } from '../helpers/service.ts';
import { until } from '../helpers/until.ts';
import { SECRET, uniqueName } from '../helpers/weatherlight.ts';

const test = suite('esper-weatherlight-service');
const { EMERGENCY_LEVEL_NOTICE: NOTICE, EMERGENCY_LEVEL_HALT: HALT } = EmergencyLevel;

/** A running service on a segment of its own, which is removed at the end. */
async function withService(
  env: Record<string, string>,
  use: (service: Service, name: string) => Promise<void>,
): Promise<void> {
  const name = uniqueName('service');
  const service = startService({
    ESPER_ALLOW_UNSIGNED: '1',
    TOLARIA_EMERGENCY_SIGNAL_NAME: name,
    ESPER_RUN_ID: 'run',
    ...env,
  });
  try {
    await service.events.next('started');
    await use(service, name);
  } finally {
    service.child.kill('SIGKILL');
    await service.ended;
    const signal = openEmergencySignal(name, { keepAlive: false });
    signal.unlink();
    signal.close();
  }
}

test('[R-W1] without ESPER_LEYLINE_SECRET it exits with 2 and says which variable and how', async () => {
  const { code, stdout, stderr } = await startService({}).ended;
  assert.is(code, 2);
  assert.is(stdout, '');
  assert.match(stderr, /ESPER_WEATHERLIGHT_SETTING_MISSING/);
  assert.match(stderr, /ESPER_LEYLINE_SECRET: \(not set\).*set ESPER_LEYLINE_SECRET to/);
});

test('[R-W1] over Redis it does not run unsigned, even when asked', async () => {
  const env = { ESPER_ALLOW_UNSIGNED: '1', REDIS_URL: 'redis://127.0.0.1:1' };
  const { code, stderr } = await startService(env).ended;
  assert.is(code, 2);
  assert.match(stderr, /ESPER_LEYLINE_SECRET/);
});

test('[R-W1] a bad value exits with 2, named with what is allowed and without its secret', async () => {
  const env = {
    ESPER_LEYLINE_SECRET: SECRET,
    REDIS_URL: 'http://user:hunter2@127.0.0.1',
    ESP_LOG_LEVEL: 'loud',
  };
  const { code, stderr } = await startService(env).ended;
  assert.is(code, 2);
  assert.match(stderr, /REDIS_URL: .*allowed: redis:/);
  assert.match(stderr, /ESP_LOG_LEVEL: "loud" is refused; allowed: trace/);
  assert.not.match(stderr, /hunter2/);
});

test('[R-W1] the log of a start has the settings, secrets masked', async () => {
  await withService({ ESPER_LEYLINE_SECRET: SECRET, ESPER_ALLOW_UNSIGNED: '' }, async (service) => {
    const { code, stderr } = await service.stop();
    assert.is(code, 0);
    assert.match(stderr, /"variable":"ESPER_LEYLINE_SECRET","value":"\*\*\*","source":"environment"/);
    assert.not.match(stderr, new RegExp(SECRET));
  });
});

test('[R-W7] SIGTERM drains and ends with 0; unsigned on the embedded bus when asked', async () => {
  await withService({}, async (service) => {
    const { code, signal } = await service.stop();
    assert.equal([code, signal], [0, null]);
    const stopped = service.events.of('stopped')[0];
    assert.equal([stopped?.clean, stopped?.unfinished], [true, []]);
  });
});

test('[R-W7] SIGINT ends with 0 as well', async () => {
  await withService({}, async (service) => {
    service.child.kill('SIGINT');
    assert.is((await service.ended).code, 0);
  });
});

/** A port that takes connections and never answers: what is published to it waits for its deadline. */
async function silentServer(): Promise<{ readonly url: string; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `redis://127.0.0.1:${address.port}`,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

for (const [name, code] of [
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const) {
  test(`[R-W7] a second signal ends it at once: ${name}`, async () => {
    const server = await silentServer();
    const env = { ESPER_LEYLINE_SECRET: SECRET, REDIS_URL: server.url };
    await withService(env, async (service, signalName) => {
      const signal = openEmergencySignal(signalName, { keepAlive: false });
      signal.trigger(HALT, { runId: 'run' });
      await service.events.next('detected');
      service.child.kill('SIGTERM');
      await service.events.next('stopping');
      service.child.kill(name);
      assert.is((await service.ended).code, code);
      assert.is(service.events.of('stopped').length, 0);
      signal.close();
    });
    server.close();
  });
}

test('[R-W7] what does not end within the deadline is named, and the exit code is 3', async () => {
  const server = await silentServer();
  const env = {
    ESPER_LEYLINE_SECRET: SECRET,
    REDIS_URL: server.url,
    WEATHERLIGHT_SHUTDOWN_DEADLINE_MS: '100',
  };
  await withService(env, async (service, signalName) => {
    const signal = openEmergencySignal(signalName, { keepAlive: false });
    signal.trigger(HALT, { runId: 'run' });
    await service.events.next('detected');
    const { code } = await service.stop();
    assert.is(code, 3);
    const stopped = service.events.of('stopped')[0];
    assert.is(stopped?.clean, false);
    assert.ok((stopped?.unfinished.length ?? 0) > 0);
    signal.close();
  });
  server.close();
});

test('[R-F10] another process raises HALT, no Redis anywhere: the service detects it', async () => {
  await withService({}, async (service, name) => {
    const signal = openEmergencySignal(name, { keepAlive: false });
    const signalId = signal.trigger(HALT, { reason: 'NaN', runId: 'run' });
    const detected = await service.events.next('detected');
    assert.equal([detected.emergency.signalId, detected.path], [signalId, 'shared-memory']);
    assert.ok((detected.latencyMs ?? -1) >= 0);
    signal.close();
  });
});

test('[R-F10] Redis away from the start: it starts, detects, and ends with 0', async () => {
  const env = { ESPER_LEYLINE_SECRET: SECRET, REDIS_URL: 'redis://127.0.0.1:1' };
  await withService(env, async (service, name) => {
    const signal = openEmergencySignal(name, { keepAlive: false });
    const signalId = signal.trigger(HALT, { runId: 'run' });
    await service.events.next('detected');
    await service.events.next('busState', (event) => event.state === 'away');
    await service.events.next('outboxFailed', (event) => event.signalId === signalId);
    const { code } = await service.stop();
    assert.is(code, 0);
    // What the bus could not take stays for the next supervisor.
    assert.is(signal.unpublished(0).length, 1);
    signal.close();
  });
});

test('[R-F9] without shared memory it runs, says why, and shows it in its log', async () => {
  await withService({ ESPER_FASTPATH_NATIVE: 'off' }, async (service) => {
    const degraded = await service.events.next('signalDegraded');
    assert.is(degraded.code, 'ESPER_NATIVE_DISABLED');
    const { code, stderr } = await service.stop();
    assert.is(code, 0);
    assert.match(stderr, /process-local only/);
  });
});

test('[R-B7] what was left unpublished is published by the next supervisor', async () => {
  const name = uniqueName('left');
  const signal = openEmergencySignal(name, { keepAlive: false });
  const signalId = signal.trigger(HALT, { runId: 'run' });
  const service = startService({ ESPER_ALLOW_UNSIGNED: '1', TOLARIA_EMERGENCY_SIGNAL_NAME: name });
  await service.events.next('outboxPublished', (event) => event.signalId === signalId);
  await until('marked', () => signal.find(signalId)?.published === true);
  await service.stop();
  signal.unlink();
  signal.close();
});

test('[R-F4] the service names a straggler of a HALT, then everybody as they acknowledge', async () => {
  await withService({ WEATHERLIGHT_HALT_ACK_TIMEOUT_MS: '30' }, async (service, name) => {
    const signal = openEmergencySignal(name, { keepAlive: false });
    signal.join('trainer', 'slow one');
    const signalId = signal.trigger(HALT, { runId: 'run' });
    const late = await service.events.next('haltStragglers');
    assert.equal(
      late.stragglers.map((one) => [one.name, one.pid]),
      [['slow one', process.pid]],
    );
    assert.ok(signal.acknowledge(signal.read()));
    const done = await service.events.next('haltAcknowledged');
    assert.equal([done.signalId, done.late], [signalId, true]);
    signal.close();
  });
});

test('[R-W1] nobody reads events and log: the supervision goes on, and the service ends all the same', async () => {
  const name = uniqueName('unread');
  const service = startService({
    ESPER_ALLOW_UNSIGNED: '1',
    TOLARIA_EMERGENCY_SIGNAL_NAME: name,
    WEATHERLIGHT_SHUTDOWN_DEADLINE_MS: '500',
  });
  await service.events.next('started');
  const signal = openEmergencySignal(name, { keepAlive: false });
  const supervisor = () => signal.participants().find((one) => one.role === 'supervisor');
  await until('it watches', () => supervisor() !== undefined);
  service.child.stdout?.pause();
  service.child.stderr?.pause();
  for (let i = 0; i < 4000; i++) {
    signal.trigger(NOTICE, { reason: 'n'.repeat(300) });
    if (i % 30 === 0) await delay(1);
  }
  const { generation } = signal.read();
  await until('all was seen', () => (supervisor()?.seenGeneration ?? 0) >= generation);
  const exit = new Promise((resolve) => service.child.once('exit', resolve));
  service.child.kill('SIGTERM');
  assert.is(await exit, 3);
  service.child.stdout?.resume();
  service.child.stderr?.resume();
  await service.ended;
  signal.unlink();
  signal.close();
});

test('[R-W1] --help and --version', async () => {
  const help = await startService({}, ['--help']).ended;
  assert.is(help.code, 0);
  assert.match(help.stdout, /WEATHERLIGHT_HALT_ACK_TIMEOUT_MS/);
  assert.match(help.stdout, /OONA_REDIS_WAIT_REPLICAS +a whole number of replicas from 0 to 8/);
  assert.match(help.stdout, /REDIS_URL .*redis\+sentinel:/);
  assert.match(help.stdout, /Exit codes/);
  const version = await startService({}, ['--version']).ended;
  assert.is(version.code, 0);
  assert.match(version.stdout, /^\d+\.\d+\.\d+/);
  assert.is((await startService({}, ['--no-such-option']).ended).code, 2);
});

test.run();
