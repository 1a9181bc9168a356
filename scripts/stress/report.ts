import type { FillRow } from './blocked.ts';
import type { Results } from './plan.ts';
import type { ReleaseRow } from './release.ts';
import type { RunRow } from './runs.ts';

const MIB = 2 ** 20;
const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

function print(holds: boolean, text: string, problems: readonly string[]): void {
  console.log(`${holds ? 'ok    ' : 'FAILED'} ${text}`);
  for (const problem of problems) console.log(`       ! ${problem}`);
}

export function printRun({ guarded, how, oomKills, peak, levels, balance, tookS, problems }: RunRow): void {
  const cells = [`${guarded ? 'guarded' : 'unguarded'}: ${how}`, `peak ${percent(peak)}`];
  if (oomKills > 0) cells.push(`oom_kill ${oomKills}`);
  if (levels.length > 0) cells.push(levels.join(' → '));
  if (balance !== undefined) {
    const { sent, delivered, refused, unheard, lost } = balance;
    cells.push(
      `sent ${sent} = delivered ${delivered} + refused ${refused} + not taken ${unheard}, lost ${lost}`,
    );
  }
  print(problems.length === 0, [...cells, `${tookS.toFixed(1)} s`].join(' · '), problems);
}

export function printRelease({ applied, events, problems }: ReleaseRow): void {
  const text = `pressure came and went: ${applied.length} actions, all undone · ${events.join(' · ')}`;
  print(problems.length === 0, text, problems);
}

export function printFill(row: FillRow): void {
  const { rateMiB, threads, criticalThreshold, inTime, seenMiB, marginMs, raisedAtPercent, problems } = row;
  const rate =
    rateMiB === 0 ? `all that ${threads} thread${threads === 1 ? '' : 's'} can` : `${rateMiB} MiB/s`;
  const raised =
    marginMs === undefined
      ? 'killed before the flag was set'
      : `flag set at ${raisedAtPercent} %, gone ${marginMs.toFixed(0)} ms later`;
  const seen = seenMiB > 0 ? `, seen ${seenMiB.toFixed(0)} MiB/s` : '';
  const text = `loop blocked, ${rate}${seen}, critical at ${percent(criticalThreshold)}: ${raised}`;
  // Too late is what the shorter ways are for.
  print(problems.length === 0 && (inTime || criticalThreshold > 0.95), text, problems);
}

export interface RateSummary {
  readonly rateMiB: number;
  readonly threads: number;
  readonly criticalThreshold: number;
  readonly inTime: number;
  readonly tries: number;
  /** Mean of what was seen, MiB a second. */
  readonly seenMiB: number;
  /** What that is with the usual way from 95 % to the end, MiB a second. */
  readonly asAt95MiB: number;
}

const WAY = 0.05;

export function ratesOf(rows: readonly FillRow[]): readonly RateSummary[] {
  const groups = new Map<string, FillRow[]>();
  for (const row of rows) {
    const key = `${row.rateMiB} ${row.threads} ${row.criticalThreshold}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()].map((group) => {
    const { rateMiB, threads, criticalThreshold } = group[0] as FillRow;
    const seenMiB = group.reduce((sum, row) => sum + row.seenMiB, 0) / group.length;
    const asAt95MiB = (seenMiB * WAY) / (1 - criticalThreshold);
    const inTime = group.filter((row) => row.inTime).length;
    return { ...{ rateMiB, threads, criticalThreshold, inTime, tries: group.length }, seenMiB, asAt95MiB };
  });
}

export interface Summary {
  readonly ok: boolean;
  readonly unguardedKilled: string;
  readonly guardedAlive: string;
  readonly reachedCritical: number;
  readonly sent: number;
  readonly delivered: number;
  readonly refused: number;
  readonly unheard: number;
  readonly lost: number;
  readonly blockedInTime: string;
  readonly rates: readonly RateSummary[];
  /** Fastest that was always in time and slowest that was not, as at 95 %, MiB a second; undefined where none was. */
  readonly alwaysInTimeMiB: number | undefined;
  readonly tooLateMiB: number | undefined;
  readonly failed: readonly string[];
}

export function summaryOf({ unguarded, guarded, release, blocked, rates }: Results): Summary {
  const sum = (of: (balance: NonNullable<RunRow['balance']>) => number): number =>
    guarded.reduce((total, { balance }) => total + (balance === undefined ? 0 : of(balance)), 0);
  const good = (rows: readonly RunRow[]): string =>
    `${rows.filter(({ problems }) => problems.length === 0).length}/${rows.length}`;
  const reachedCritical = guarded.filter(({ levels }) => levels.includes('critical')).length;
  const summaries = ratesOf(rates);
  const late = summaries.filter(({ inTime, tries }) => inTime < tries).map(({ asAt95MiB }) => asAt95MiB);
  const tooLateMiB = late.length > 0 ? Math.min(...late) : undefined;
  const always = summaries
    .filter(({ inTime, tries }) => inTime === tries)
    .map(({ asAt95MiB }) => asAt95MiB)
    .filter((rate) => tooLateMiB === undefined || rate < tooLateMiB);
  const hasProblems = (rows: readonly { readonly problems: readonly string[] }[]): boolean =>
    rows.some(({ problems }) => problems.length > 0);
  const failed = [
    ...(hasProblems(unguarded) ? ['unguarded'] : []),
    ...(hasProblems(guarded) ? ['guarded'] : []),
    ...(guarded.length > 0 && reachedCritical === 0 ? ['guarded: none reached CRITICAL'] : []),
    ...(hasProblems(release) ? ['release'] : []),
    ...(hasProblems(blocked) || blocked.some(({ inTime }) => !inTime) ? ['blocked'] : []),
    ...(hasProblems(rates) ? ['rates'] : []),
  ];
  return {
    ok: failed.length === 0,
    ...{ unguardedKilled: good(unguarded), guardedAlive: good(guarded), reachedCritical },
    ...{ sent: sum(({ sent }) => sent), delivered: sum(({ delivered }) => delivered) },
    ...{ refused: sum(({ refused }) => refused), unheard: sum(({ unheard }) => unheard) },
    lost: sum(({ lost }) => lost),
    blockedInTime: `${blocked.filter(({ inTime }) => inTime).length}/${blocked.length}`,
    rates: summaries,
    alwaysInTimeMiB: always.length > 0 ? Math.max(...always) : undefined,
    ...{ tooLateMiB, failed },
  };
}

export function printSummary(summary: Summary, limitBytes: number): void {
  const { unguardedKilled, guardedAlive, reachedCritical, sent, delivered, refused, unheard, lost } = summary;
  console.log(`\nlimit ${limitBytes / MIB} MiB`);
  console.log(`unguarded, killed by the kernel: ${unguardedKilled}`);
  console.log(`guarded, survived or stopped cleanly: ${guardedAlive}; reached CRITICAL: ${reachedCritical}`);
  console.log(
    `guarded, counted on both sides: sent ${sent} = delivered ${delivered} + refused ${refused} + not taken ${unheard}; lost ${lost}`,
  );
  console.log(`loop blocked at 200 MiB/s, flag set before the kill: ${summary.blockedInTime}`);
  for (const { rateMiB, threads, criticalThreshold, inTime, tries, seenMiB, asAt95MiB } of summary.rates) {
    const asked = rateMiB === 0 ? `${threads} at full speed` : `${rateMiB} MiB/s`;
    console.log(
      `  ${asked.padEnd(15)} critical at ${percent(criticalThreshold)}: in time ${inTime}/${tries}, seen ${seenMiB.toFixed(0)} MiB/s, as at 95 %: ${asAt95MiB.toFixed(0)} MiB/s`,
    );
  }
  const { alwaysInTimeMiB: always, tooLateMiB: late } = summary;
  if (always !== undefined) console.log(`always in time up to ${always.toFixed(0)} MiB/s`);
  if (summary.rates.length > 0)
    console.log(late === undefined ? 'no rate was too fast' : `too late from ${late.toFixed(0)} MiB/s`);
  console.log(summary.ok ? 'all holds' : `did not hold: ${summary.failed.join(', ')}`);
}
