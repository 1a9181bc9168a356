import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { AdapterStats, EmitterStats, StopReport } from '../../src/pipeline/index.ts';
import { until } from '../helpers/until.ts';

const test = suite('an engine and the process around it');

interface Relay {
  readonly child: ChildProcess;
  readonly url: string;
  readonly exited: Promise<unknown[]>;
  /** Its last line. */
  outcome(): { report: StopReport; adapter: AdapterStats; emitter: EmitterStats };
}

async function startRelay(path: string, ...args: string[]): Promise<Relay> {
  const fixture = new URL('../fixtures/pipeline/relay.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, ['--import', 'tsx', fixture, path, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout?.on('data', (data: Buffer) => {
    output += data.toString();
  });
  const exited = once(child, 'exit');
  const port = await until('its port', () => /port (\d+)/.exec(output)?.[1]);
  const outcome = () => JSON.parse(output.trim().split('\n').at(-1) ?? '');
  return { child, url: `http://127.0.0.1:${port}/`, exited, outcome };
}

async function inDirectory(run: (path: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'esper-relay-'));
  try {
    await run(join(directory, 'out'));
  } finally {
    await rm(directory, { recursive: true });
  }
}

test('[R-E7][R-E11] 200 is in the file, 503 is not, counted on both sides; stopped under load it ends by itself', () =>
  inDirectory(async (path) => {
    const relay = await startRelay(path);
    const answered = { delivered: [] as string[], refused: 0, unanswered: 0 };
    let sent = 0;
    const client = async (id: number): Promise<void> => {
      for (let i = 0; i < 60; i++) {
        const body = `c${id}-${i}`;
        sent += 1;
        try {
          const response = await fetch(relay.url, { method: 'POST', body });
          if (response.status === 200) answered.delivered.push(body);
          else {
            assert.is(response.status, 503);
            assert.ok(Number(response.headers.get('retry-after')) >= 1);
            answered.refused += 1;
          }
        } catch {
          // The server no longer listens: it never had it.
          answered.unanswered += 1;
        }
      }
    };
    const clients = Array.from({ length: 12 }, (_, id) => client(id));
    await until('a part of the load', () => answered.delivered.length > 200);
    relay.child.kill('SIGTERM');
    await Promise.all(clients);
    assert.equal(await relay.exited, [0, null]);
    const { report, adapter, emitter } = relay.outcome();
    assert.equal([report.reason, report.clean, report.dropped], ['SIGTERM', true, 0]);
    const lines = (await readFile(path, 'utf8')).trim().split('\n');
    assert.equal(lines.sort(), answered.delivered.sort());
    assert.is(answered.delivered.length + answered.refused + answered.unanswered, sent);
    assert.is(adapter.accepted, answered.delivered.length);
    assert.is(adapter.refused, answered.refused);
    assert.is(emitter.emitted, answered.delivered.length);
    assert.ok(answered.refused > 0 && emitter.failedCalls > 0, 'some were refused');
  }));

test('[R-E11] an adapter that will not stop is named, and the process ends all the same', () =>
  inDirectory(async (path) => {
    const relay = await startRelay(path, 'deaf');
    assert.is((await fetch(relay.url, { method: 'POST', body: 'x' })).status, 200);
    relay.child.kill('SIGTERM');
    assert.equal(await relay.exited, [0, null]);
    const { report } = relay.outcome();
    assert.equal([report.clean, report.dropped], [false, 0]);
    assert.ok(report.unfinished.includes('adapter:deaf'));
    assert.is(await readFile(path, 'utf8'), 'x\n');
  }));

test.run();
