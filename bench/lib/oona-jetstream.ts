import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cleanup } from './cleanup.ts';
import { loadPeer } from './peers.ts';

const START_TIMEOUT_MS = 10_000;
const STREAM = 'bench';
const SUBJECT = 'bench.messages';

/** What is used here of nats. */
interface Nats {
  readonly StorageType: { readonly Memory: string };
  connect(options: object): Promise<{
    jetstream(): { publish(subject: string, payload: Uint8Array): Promise<{ readonly seq: number }> };
    jetstreamManager(): Promise<{
      readonly streams: {
        add(options: object): Promise<unknown>;
        info(name: string): Promise<{ readonly state: { readonly messages: number } }>;
        purge(name: string): Promise<unknown>;
      };
    }>;
    close(): Promise<void>;
  }>;
}

export interface JetStream {
  /** Resolves when the server has acknowledged. */
  publish(payload: Uint8Array): Promise<unknown>;
  stored(): Promise<number>;
  purge(): Promise<unknown>;
}

/** Debian's nats-server lies in /usr/sbin, which is not on everybody's path. */
function findServer(): string | undefined {
  const places = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return places.map((place) => join(place, 'nats-server')).find((path) => existsSync(path));
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  if (address === null || typeof address === 'string') throw new Error('no loopback port');
  return address.port;
}

async function startServer(path: string, cleanup: Cleanup): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'esper-nats-'));
  cleanup.add(() => rmSync(directory, { recursive: true, force: true }));
  const port = await freePort();
  const args = ['--addr', '127.0.0.1', '--port', String(port), '--jetstream', '--store_dir', directory];
  const child = spawn(path, args, { stdio: 'ignore' });
  const exited = once(child, 'exit');
  cleanup.add(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await exited;
  });
  return port;
}

async function connected(nats: Nats, port: number): ReturnType<Nats['connect']> {
  const endsAt = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      return await nats.connect({ servers: `127.0.0.1:${port}`, reconnect: false });
    } catch (error) {
      if (performance.now() > endsAt) throw error;
      await sleep(20);
    }
  }
}

/** A nats-server of its own with a stream in memory (our Redis writes no disk either), or why there is none. */
export async function openJetStream(cleanup: Cleanup): Promise<JetStream | string> {
  const server = findServer();
  if (server === undefined) return 'nats-server is not installed (Debian package nats-server)';
  const peer = loadPeer<Nats>('nats');
  if (peer.missing !== undefined) return peer.missing;
  const nats = peer.module;
  const connection = await connected(nats, await startServer(server, cleanup));
  cleanup.add(() => connection.close());
  const { streams } = await connection.jetstreamManager();
  await streams.add({ name: STREAM, subjects: [SUBJECT], storage: nats.StorageType.Memory });
  const jetstream = connection.jetstream();
  return {
    publish: (payload) => jetstream.publish(SUBJECT, payload),
    stored: async () => (await streams.info(STREAM)).state.messages,
    purge: () => streams.purge(STREAM),
  };
}
