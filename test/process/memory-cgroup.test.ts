import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../src/leyline/messages.ts';
import { type EmergencyRecord, type EmergencySignal, openEmergencySignal } from '../../src/signals/index.ts';
import type { FillOrder, FromFilling } from '../fixtures/memory/filling.ts';
import { type FixtureProcess, startFixture } from '../helpers/fixture-process.ts';
import { type MemoryCgroup, makeMemoryCgroup } from '../helpers/memory-cgroup.ts';
import { until } from '../helpers/until.ts';

// A real memory cgroup, a process that fills it in one synchronous loop, and this one, which sees its flag.

const test = suite('memory cgroup');
const MIB = 2 ** 20;
const LIMIT_BYTES = 384 * MIB;

const signals: EmergencySignal[] = [];
const cgroups: MemoryCgroup[] = [];
const children: FixtureProcess<FromFilling>[] = [];

test.after.each(async () => {
  await Promise.all(children.splice(0).map((child) => child.kill()));
  await Promise.all(cgroups.splice(0).map((cgroup) => cgroup.remove()));
  for (const signal of signals.splice(0)) {
    signal.close();
    signal.unlink();
  }
});

function openSignal(): EmergencySignal {
  const signal = openEmergencySignal(`memory.${process.pid}.${randomBytes(4).toString('hex')}`, {
    keepAlive: false,
  });
  assert.is(signal.kind, 'shared', signal.degraded?.reason);
  signals.push(signal);
  return signal;
}

function makeCgroup(): MemoryCgroup {
  const cgroup = makeMemoryCgroup(LIMIT_BYTES);
  cgroups.push(cgroup);
  return cgroup;
}

async function start(signal: EmergencySignal, cgroup: MemoryCgroup, intervalMs = 1000) {
  const args = [signal.name, String(intervalMs)];
  const child = startFixture<FromFilling>('memory/filling.ts', args, { under: cgroup.under });
  children.push(child);
  const ready = await child.next();
  if (ready.type !== 'ready') throw new Error(`the first message is ${ready.type}`);
  assert.is(ready.native, true, 'the native sampler');
  assert.is(ready.limitBytes, LIMIT_BYTES);
  assert.is(ready.source, cgroup.version === 1 ? 'cgroup-v1' : 'cgroup-v2');
  return child;
}

const eventsOf = (child: FixtureProcess<FromFilling>) =>
  child.messages.filter((message) => message.type === 'event');

const order = (rate: number, upToBytes = 0): FillOrder => ({ rate, upToBytes });

test('[R-E3] a loop blocked by allocating until the kernel kills: another process sees the flag set before', async () => {
  const signal = openSignal();
  const child = await start(signal, makeCgroup());
  const seen: { record: EmergencyRecord; atNs: bigint }[] = [];
  signal.subscribe(({ records }) => {
    for (const record of records) seen.push({ record, atNs: process.hrtime.bigint() });
  });
  child.send(order(200 * MIB));
  const { signal: killedBy } = await child.ended;
  const endNs = process.hrtime.bigint();
  assert.is(killedBy, 'SIGKILL', 'by the kernel, for want of memory');
  await until('the record', () => seen.length > 0);
  const [first] = seen;
  assert.is(seen.length, 1, 'one raise a crossing');
  assert.is(first?.record.level, EmergencyLevel.EMERGENCY_LEVEL_CONSERVATIVE);
  assert.is(first?.record.pid, child.pid, 'raised by the process itself');
  assert.match(
    first?.record.reason ?? '',
    /^memory critical: 9[5-9]\.\d % of 402653184 bytes used \(cgroup v[12] /,
  );
  assert.equal([first?.record.origin, first?.record.runId], ['monitor:memory', 'filling']);
  assert.ok((first?.atNs ?? endNs) < endNs, 'seen here while it still lived');
  assert.equal(
    eventsOf(child),
    [],
    'its event loop was blocked all the time: no JavaScript of its own told of it',
  );
});

test('[R-E3] pressure that came while the loop was blocked is an event as soon as it is free', async () => {
  const signal = openSignal();
  const cgroup = makeCgroup();
  const child = await start(signal, cgroup, 60_000);
  child.send(order(0, LIMIT_BYTES * 0.97 - cgroup.usageBytes()));
  await until('filled', () => child.messages.some(({ type }) => type === 'filled'));
  const [event] = eventsOf(child);
  const filled = child.messages.find((message) => message.type === 'filled');
  assert.is(event?.code, 'MEMORY_PRESSURE');
  assert.ok(event?.level === 'critical' || event?.level === 'shutdown', event?.level);
  assert.is(filled?.raises, 1);
  assert.is(signal.level(), EmergencyLevel.EMERGENCY_LEVEL_CONSERVATIVE);
});

test('[R-E3] page cache that can be dropped is no pressure', async () => {
  const signal = openSignal();
  const cgroup = makeCgroup();
  const child = await start(signal, cgroup, 20);
  const file = `/var/tmp/esper-cache.${process.pid}`;
  const [command = '', ...args] = cgroup.under;
  try {
    const copy = ['dd', 'if=/dev/zero', `of=${file}`, 'bs=1M', 'count=420', 'conv=fsync', 'status=none'];
    assert.is(spawnSync(command, [...args, ...copy]).status, 0);
    const raw = cgroup.usageBytes() / LIMIT_BYTES;
    assert.ok(raw > 0.9, `the cache fills the cgroup: ${raw}`);
    child.send(order(0, 1));
    const filled = await until('an answer', () =>
      child.messages.find((message) => message.type === 'filled'),
    );
    assert.is(filled.type === 'filled' && filled.level, 'normal');
  } finally {
    rmSync(file, { force: true });
  }
  assert.is(signal.level(), 0);
  assert.equal(eventsOf(child), []);
});

test('[R-E3] a limit that is lowered in place is met', async () => {
  const signal = openSignal();
  const cgroup = makeCgroup();
  const child = await start(signal, cgroup, 20);
  child.send(order(0, 150 * MIB));
  await until('filled', () => child.messages.some(({ type }) => type === 'filled'));
  assert.equal(eventsOf(child), []);
  cgroup.setLimit(Math.round(cgroup.usageBytes() / 0.93));
  const [event] = await until('an event', () => eventsOf(child).length > 0 && eventsOf(child));
  assert.ok((event?.percent ?? 0) > 85, String(event?.percent));
});

test.run();
