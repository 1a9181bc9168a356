import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';

export interface StartRedisOptions {
  /** 'none' (default) forgets everything with the process; 'aof' keeps it over restart() and kill(). */
  readonly persistence?: 'none' | 'aof';
  /** Further arguments of redis-server, e.g. ['--maxmemory', '4mb']. */
  readonly args?: readonly string[];
  /** Runs as a sentinel with these lines as its configuration; it keeps what it learns in its own directory. */
  readonly sentinelConfig?: readonly string[];
  /** Speaks TLS only, with the certificate of these PEM files. */
  readonly tls?: TlsFiles;
}

/** Paths of PEM files. */
export interface TlsFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** Of the process that runs now; changes with restart(). */
  readonly pid: number;
  /** Where it keeps its files. */
  readonly directory: string;
  /** SIGTERM, then waits for the exit. Idempotent. */
  stop(): Promise<void>;
  /** SIGKILL, then waits for the exit. Idempotent. */
  kill(): Promise<void>;
  /** Starts again on the same port with the same directory; stops first when it runs. */
  restart(): Promise<void>;
  /** SIGSTOP: connections stay open and nothing answers. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
}

const START_TIMEOUT_MS = 15_000;
const PORT_ATTEMPTS = 5;

export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', resolve);
  });
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no loopback port');
  return address.port;
}

/** First line of the reply to PING, or undefined when nothing answers. */
async function ping(port: number, tls: TlsFiles | undefined): Promise<string | undefined> {
  const at = { host: '127.0.0.1', port };
  const read = readFileSync;
  const socket =
    tls === undefined
      ? connect(at)
      : connectTls({
          ...{ ...at, ca: read(tls.ca), cert: read(tls.cert), key: read(tls.key) },
          // Some tests start it with another's name on purpose.
          checkServerIdentity: () => undefined,
        });
  try {
    return await new Promise<string | undefined>((resolve) => {
      socket.setTimeout(1000, () => resolve(undefined));
      socket.once('error', () => resolve(undefined));
      socket.once('close', () => resolve(undefined));
      socket.once('data', (data) => resolve(data.toString('latin1').split('\r\n')[0]));
      socket.write('PING\r\n');
    });
  } finally {
    socket.destroy();
  }
}

interface Run {
  readonly child: ChildProcess;
  readonly guard: ChildProcess;
  readonly exited: Promise<void>;
}

const runs = new Set<Run>();
const directories = new Set<string>();

process.once('exit', () => {
  for (const run of runs) {
    run.child.kill('SIGKILL');
    run.guard.kill('SIGKILL');
  }
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

function hasExited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/**
 * `exit` handlers do not run when the test process is killed. The guard's standard input is a pipe from it: when that
 * closes, the guard kills this one server and removes its directory.
 */
function spawnGuard(serverPid: number, directory: string): ChildProcess {
  const script = 'read -r _; kill -KILL "$1" 2>/dev/null; rm -rf "$2"';
  const guard = spawn('/bin/sh', ['-c', script, 'redis-guard', String(serverPid), directory], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  guard.unref();
  (guard.stdin as Socket).unref();
  return guard;
}

function serverArgs(port: number, directory: string, options: StartRedisOptions): string[] {
  const { tls, sentinelConfig, persistence, args = [] } = options;
  const ports =
    tls === undefined
      ? ['--port', String(port)]
      : [
          ...['--port', '0', '--tls-port', String(port), '--tls-replication', 'yes'],
          ...['--tls-ca-cert-file', tls.ca, '--tls-cert-file', tls.cert, '--tls-key-file', tls.key],
        ];
  const common = [...ports, '--bind', '127.0.0.1', '--protected-mode', 'yes', '--dir', directory];
  if (sentinelConfig !== undefined) {
    const file = join(directory, 'sentinel.conf');
    writeFileSync(file, `${sentinelConfig.join('\n')}\n`);
    return [file, '--sentinel', ...common, ...args];
  }
  const aof = persistence === 'aof' ? 'yes' : 'no';
  return [...common, '--daemonize', 'no', '--save', '', '--appendonly', aof, ...args];
}

async function spawnServer(port: number, directory: string, options: StartRedisOptions): Promise<Run> {
  const log = openSync(join(directory, 'redis.log'), 'w');
  const child = spawn('redis-server', serverArgs(port, directory, options), { stdio: ['ignore', log, log] });
  closeSync(log);
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error: NodeJS.ErrnoException) => {
      const missing = error.code === 'ENOENT';
      reject(missing ? new Error('redis-server is not installed: run `npm run setup`') : error);
    });
  });
  child.unref();
  const run: Run = { child, guard: spawnGuard(child.pid ?? 0, directory), exited };
  runs.add(run);
  return run;
}

async function endRun(run: Run, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (!hasExited(run.child)) {
    run.child.ref();
    run.child.kill(signal);
    // A paused server handles SIGTERM only once it runs again.
    run.child.kill('SIGCONT');
    await run.exited;
  }
  run.guard.kill('SIGKILL');
  runs.delete(run);
}

/** False when the port was taken meanwhile; throws with the server's log when it died of anything else. */
async function becomesReady(
  run: Run,
  port: number,
  directory: string,
  { tls, sentinelConfig }: StartRedisOptions,
): Promise<boolean> {
  const ready = sentinelConfig === undefined ? 'Ready to accept connections' : 'Sentinel ID is';
  const endsAt = performance.now() + START_TIMEOUT_MS;
  const readLog = () => readFileSync(join(directory, 'redis.log'), 'utf8');
  while (performance.now() < endsAt) {
    const log = readLog();
    if (hasExited(run.child)) {
      if (/Address already in use/.test(log)) return false;
      throw new Error(`redis-server exited while starting:\n${log}`);
    }
    // Only our server's log says this, so a stranger that took the port first is never taken for ours.
    if (log.includes(ready) && /^(\+PONG|-NOAUTH|-LOADING|-MASTERDOWN)/.test((await ping(port, tls)) ?? '')) {
      return true;
    }
    await delay(10);
  }
  throw new Error(`redis-server did not answer PING within ${START_TIMEOUT_MS} ms:\n${readLog()}`);
}

async function launch(port: number, directory: string, options: StartRedisOptions): Promise<Run | undefined> {
  const run = await spawnServer(port, directory, options);
  try {
    if (await becomesReady(run, port, directory, options)) return run;
  } catch (error) {
    await endRun(run, 'SIGKILL');
    throw error;
  }
  await endRun(run, 'SIGKILL');
  return undefined;
}

function createHandle(first: Run, port: number, directory: string, options: StartRedisOptions): RedisServer {
  let run = first;
  return {
    url: `redis${options.tls === undefined ? '' : 's'}://127.0.0.1:${port}`,
    port,
    directory,
    get pid() {
      return run.child.pid ?? 0;
    },
    stop: () => endRun(run, 'SIGTERM'),
    kill: () => endRun(run, 'SIGKILL'),
    async restart() {
      await endRun(run, 'SIGTERM');
      const next = await launch(port, directory, options);
      if (next === undefined) throw new Error(`port ${port} was taken while redis-server was down`);
      run = next;
    },
    pause: () => void run.child.kill('SIGSTOP'),
    resume: () => void run.child.kill('SIGCONT'),
  };
}

/**
 * A redis-server of this process's own: loopback only, free port, own temporary directory. It ends with this process,
 * however that ends. Throws one line that names `npm run setup` when redis-server is not installed.
 */
export async function startRedis(options: StartRedisOptions = {}): Promise<RedisServer> {
  const directory = mkdtempSync(join(tmpdir(), 'esper-redis-'));
  directories.add(directory);
  for (let attempt = 0; attempt < PORT_ATTEMPTS; attempt++) {
    const port = await freePort();
    const run = await launch(port, directory, options);
    if (run !== undefined) return createHandle(run, port, directory, options);
  }
  throw new Error(`no free loopback port for redis-server after ${PORT_ATTEMPTS} attempts`);
}
