// watchdog: 180 s
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Accounts } from '../../scripts/drills/accounts.ts';
import { identityOf } from '../../scripts/drills/fleet.ts';
import { LedgerWriter } from '../../scripts/drills/ledger.ts';
import type { ConsumerStats } from '../../src/oona/work-types.ts';

const test = suite('scripts/drill-bus.ts');
const run = promisify(execFile);
const script = fileURLToPath(new URL('../../scripts/drill-bus.ts', import.meta.url));

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function drill(...args: string[]): Promise<Ended> {
  return run(process.execPath, ['--import', 'tsx', script, ...args], { maxBuffer: 1 << 24 }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: Ended) => error,
  );
}

const leftovers = (): string[] => readdirSync(tmpdir()).filter((name) => /^esper-drill-/.test(name));

test('[R-O1] consumers that are killed and a Redis that is killed lose nothing', async () => {
  const before = leftovers();
  const { code, stdout } = await drill('--only', 'consumer-kill,redis-kill', '--messages', '1000', '--json');
  const report = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
  assert.equal(report.failed, [], stdout);
  assert.is(code, 0);
  assert.is(report.lost, 0);
  for (const row of report.rows) {
    assert.ok(row.sent >= 1000, `${row.drill} sent ${row.sent}`);
    assert.is(row.handled, row.sent);
    assert.ok(row.inFlightLeast > 0, `${row.drill}: the fault hit nothing`);
    assert.ok(row.cleanEnds > 0 && row.identities === row.cleanEnds, `${row.drill}: counters`);
  }
  assert.ok(report.consumerKills >= 1 && report.redisKills >= 1);
  assert.equal(leftovers(), before);
});

test('refuses what it does not know, and says what there is', async () => {
  for (const args of [['--only', 'nothing'], ['--al'], [], ['--all', '--messages', '5']]) {
    const { code, stderr } = await drill(...args);
    assert.is(code, 2, args.join(' '));
    assert.match(stderr, 'drill-bus: ');
  }
  const { code, stdout } = await drill('--list');
  assert.is(code, 0);
  for (const name of ['consumer-kill', 'flushall', 'poison', 'sentinel-failover', 'cluster-reshard']) {
    assert.match(stdout, name);
  }
});

test('a message that was stored and neither handled nor dead-lettered counts as lost', () => {
  const directory = mkdtempSync(join(tmpdir(), 'esper-accounts-'));
  const path = (name: string): string => join(directory, name);
  const accounts = new Accounts();
  try {
    accounts.followPublisher(path('publisher'));
    accounts.followConsumer(path('consumer'));
    const publisher = new LedgerWriter(path('publisher'));
    for (const eventId of ['a', 'b', 'c', 'd']) {
      publisher.write({ eventId, entryId: `1-${eventId}`, word: 'published', atMs: 1 });
    }
    publisher.write({ eventId: 'e', entryId: '-', word: 'refused', atMs: 1 });
    const consumer = new LedgerWriter(path('consumer'));
    for (const eventId of ['a', 'b', 'b', 'x']) {
      consumer.write({ eventId, entryId: `1-${eventId}`, word: '1', atMs: 2 });
    }
    const balance = accounts.update().balance(new Set(['c']));
    assert.equal(balance, { sent: 4, handled: 2, duplicates: 1, lost: ['d'], strange: ['x'] });
    publisher.close();
    consumer.close();
  } finally {
    accounts.close();
    rmSync(directory, { recursive: true, force: true });
  }
});

test('a consumer whose counters do not add up is named', () => {
  const ends = { acknowledged: 5, pending: 2, deadLettered: 1, takenOver: 1, lost: 1 };
  const stats = (read: number): ConsumerStats => ({ ...ends, read }) as ConsumerStats;
  assert.is(identityOf(stats(10)), undefined);
  assert.match(identityOf(stats(11)) ?? '', 'read 11 is not');
});

test.run();
