// watchdog: 300 s
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { balanceOf } from '../../scripts/stress/accounts.ts';
import { pressureProblems } from '../../scripts/stress/pressure.ts';
import type { LogLine } from '../../scripts/stress/relay-process.ts';
import { stampOf } from '../../scripts/stress/stamp.ts';

const test = suite('scripts/stress-memory.ts');
const run = promisify(execFile);
const script = fileURLToPath(new URL('../../scripts/stress-memory.ts', import.meta.url));

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function stress(...args: string[]): Promise<Ended> {
  return run(process.execPath, ['--import', 'tsx', script, ...args], { maxBuffer: 1 << 24 }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: Ended) => error,
  );
}

const leftovers = (): string[] =>
  [tmpdir(), '/dev/shm'].flatMap((folder) =>
    readdirSync(folder).filter((name) => /^esper-(stress|ballast)/.test(name)),
  );

test('[R-E10] [R-E7] unguarded it is killed by the kernel; guarded nothing is lost, and all is undone', async () => {
  const before = leftovers();
  const args = ['--runs', '1', '--seconds', '2', '--only', 'unguarded,guarded,release', '--json'];
  const { code, stdout, stderr } = await stress(...args);
  const report = JSON.parse(stdout.trimEnd().split('\n').at(-1) || '{}');
  assert.equal(report.failed, [], stdout + stderr);
  assert.is(code, 0);
  const [unguarded] = report.results.unguarded;
  assert.ok(unguarded.oomKills > 0);
  const [guarded] = report.results.guarded;
  assert.ok(guarded.levels.includes('critical'), guarded.levels.join());
  assert.ok(guarded.degraded > 0);
  assert.is(report.lost, 0);
  assert.is(report.sent, report.delivered + report.refused + report.unheard);
  const [release] = report.results.release;
  assert.equal(release.after, release.before);
  assert.not.equal(release.pressed.buses, release.before.buses);
  assert.not.equal(release.pressed.rates, release.before.rates);
  assert.match(release.events.at(-1), /^DEGRADED_MODE_CLEARED/);
  assert.equal(leftovers(), before);
});

test('refuses what it does not know', async () => {
  for (const args of [
    ['--runs', '0'],
    ['--only', 'nothing'],
    ['--limit', 'much'],
    ['--run', '1'],
  ]) {
    const { code, stderr } = await stress(...args);
    assert.is(code, 2, args.join(' '));
    assert.match(stderr, 'stress-memory: ');
  }
});

test('a payload that was answered and is not there counts as lost, and so does one without an answer', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'esper-accounts-'));
  const payload = (id: string): Buffer => Buffer.concat([stampOf(id), Buffer.alloc(36, 'x')]);
  const told = (payloadId: string, outcome: string): LogLine => ({ payload: payloadId, outcome });
  try {
    writeFileSync(join(directory, 'whole.gz'), gzipSync(payload('whole')));
    writeFileSync(join(directory, 'other.gz'), gzipSync(payload('whole')));
    writeFileSync(join(directory, 'cut.gz'), gzipSync(payload('cut')).subarray(0, -4));
    const log = [
      ...['whole', 'other', 'cut', 'none'].map((id) => told(id, 'delivered')),
      told('refused', 'refused'),
      told('silent', 'refused'),
      { msg: 'payloads', received: 6, delivered: 4, refused: 2 },
    ];
    const outcomes = new Map([
      ...['whole', 'other', 'cut', 'none'].map((id) => [id, 'delivered'] as const),
      ['refused', 'refused'] as const,
      ['silent', 'broken'] as const,
      ['unheard', 'broken'] as const,
    ]);
    const balance = await balanceOf({ outcomes, notes: [] }, log, directory, 100);
    assert.equal(
      [balance.delivered, balance.refused, balance.unheard, balance.lost],
      [1, 1, 1, 4],
      balance.problems.join('\n'),
    );
    assert.is(balance.problems.length, 5);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('events that tell of no threshold that was crossed, or in another order, are named', () => {
  const event = (previous: string, level: string, percent: number): LogLine => ({
    code: 'MEMORY_PRESSURE',
    context: {
      ...{ level, previous_level: previous },
      ...{ usage_percent: String(percent), peak_percent: String(percent) },
    },
  });
  const good = [
    event('normal', 'warning', 87),
    event('warning', 'critical', 96),
    event('critical', 'normal', 60),
  ];
  assert.equal(pressureProblems(good, 0.962), []);
  assert.match(pressureProblems(good, 0.91).join(), 'critical was told');
  assert.match(pressureProblems(good, 0.99).join(), 'only critical told');
  assert.match(pressureProblems([event('normal', 'critical', 91)], 0.96).join(), 'level critical at 91 %');
  assert.match(
    pressureProblems([event('warning', 'error', 91)], 0.91).join(),
    'level error follows normal, and says it follows warning',
  );
  assert.match(pressureProblems([...good, event('normal', 'error', 99)], 0.99).join(), 'level error at 99 %');
});

test.run();
