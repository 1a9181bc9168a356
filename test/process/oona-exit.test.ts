import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startRedis } from '../helpers/redis-server.ts';
import { until } from '../helpers/until.ts';

const test = suite('oona and the process around it');

interface Child {
  readonly process: ChildProcess;
  output(): string;
  readonly exited: Promise<unknown[]>;
}

function run(fixture: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Child {
  const path = new URL(`../fixtures/${fixture}`, import.meta.url).pathname;
  const child = spawn(process.execPath, ['--import', 'tsx', path, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env,
  });
  let output = '';
  child.stdout?.on('data', (data: Buffer) => {
    output += data.toString();
  });
  return { process: child, output: () => output, exited: once(child, 'exit') };
}

const runs = (pid: number): boolean => existsSync(`/proc/${pid}`);

test('[R-O1][R-W7] a process that closed its bus ends by itself', async () => {
  const redis = await startRedis();
  const child = run('oona-exit.ts', [redis.url]);
  assert.equal(await child.exited, [0, null]);
  assert.is(child.output(), 'ready\npublished\nclosed, 0 timers\n');
  await redis.stop();
});

test('[R-O1][R-W7] also when Redis has stopped answering', async () => {
  const redis = await startRedis();
  const child = run('oona-exit.ts', [redis.url, 'silent']);
  await until('ready', () => child.output().includes('ready'));
  redis.pause();
  child.process.stdin?.end('go\n');
  assert.equal(await child.exited, [0, null]);
  assert.is(child.output(), 'ready\nfailed\nclosed, 0 timers\n');
  await redis.kill();
});

test('[R-O1][R-W7] also when its connections were broken before, without a timer that holds it', async () => {
  const redis = await startRedis();
  const child = run('oona-exit.ts', [redis.url, 'gone']);
  await until('ready', () => child.output().includes('ready'));
  await redis.kill();
  child.process.stdin?.end('go\n');
  assert.equal(await child.exited, [0, null]);
  assert.is(child.output(), 'ready\nfailed\nclosed, 0 timers\n');
});

test('[R-O1] a redis-server of a test ends with the test, however that ends', async () => {
  for (const signal of ['SIGKILL', 'SIGTERM', 'SIGINT'] as const) {
    const child = run('redis-owner.ts', []);
    const pid = Number(await until('the server', () => child.output() !== '' && child.output()));
    assert.ok(runs(pid));
    child.process.kill(signal);
    await child.exited;
    await until('the end of the server', () => !runs(pid));
  }
});

test('[R-O1] without redis-server the tests say how to get it', async () => {
  const child = run('redis-owner.ts', [], { ...process.env, PATH: '/nonexistent' });
  await child.exited;
  assert.match(child.output(), /^redis-server is not installed: run `npm run setup`\n$/);
});

test.run();
