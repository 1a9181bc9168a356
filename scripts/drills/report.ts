import type { Row } from './drill.ts';

export interface Summary {
  readonly ok: boolean;
  readonly drills: number;
  readonly sent: number;
  readonly handled: number;
  readonly duplicates: number;
  readonly lost: number;
  readonly deadLetters: number;
  readonly consumerKills: number;
  readonly redisKills: number;
  readonly failed: readonly string[];
}

const whole = (value: number): string => Math.round(value).toLocaleString('en-US');

export function printRow(row: Row): void {
  const recovery = row.recoveryMs === undefined ? '-' : whole(row.recoveryMs);
  const cells = [
    `sent ${whole(row.sent)}`,
    `handled ${whole(row.handled)}`,
    `duplicates ${whole(row.duplicates)}`,
    `lost ${whole(row.lost)}`,
    `dead letters ${whole(row.deadLetters)}`,
    `faults ${row.faults} (kills: consumers ${row.consumerKills}, redis ${row.redisKills})`,
    `in flight ${whole(row.inFlight)}, least ${whole(row.inFlightLeast)}`,
    `recovery ${recovery} ms`,
    `longest silence ${whole(row.silenceMs)} ms`,
    `counters add up ${row.identities}/${row.cleanEnds}`,
    `${row.tookS.toFixed(1)} s`,
  ];
  console.log(`${row.problems.length === 0 ? 'ok    ' : 'FAILED'} ${row.drill} (${row.engine})`);
  console.log(`       ${cells.join(' · ')}`);
  if (row.notes.length > 0) console.log(`       ${row.notes.join(' · ')}`);
  for (const problem of row.problems) console.log(`       ! ${problem}`);
}

export function summaryOf(rows: readonly Row[]): Summary {
  const sum = (of: (row: Row) => number): number => rows.reduce((total, row) => total + of(row), 0);
  const failed = rows.filter(({ problems }) => problems.length > 0).map(({ drill }) => drill);
  return {
    ok: rows.length > 0 && failed.length === 0,
    drills: rows.length,
    sent: sum((row) => row.sent),
    handled: sum((row) => row.handled),
    duplicates: sum((row) => row.duplicates),
    lost: sum((row) => row.lost),
    deadLetters: sum((row) => row.deadLetters),
    consumerKills: sum((row) => row.consumerKills),
    redisKills: sum((row) => row.redisKills),
    failed,
  };
}

export function printSummary(summary: Summary): void {
  const { drills, sent, handled, duplicates, lost, deadLetters, consumerKills, redisKills, failed } = summary;
  console.log(
    `${drills} drills: sent ${whole(sent)}, handled ${whole(handled)}, duplicates ${whole(duplicates)}, lost ${whole(lost)}, dead letters ${whole(deadLetters)}, SIGKILLs of consumers ${consumerKills}, of redis-server ${redisKills}`,
  );
  console.log(failed.length === 0 ? 'all hold' : `did not hold: ${failed.join(', ')}`);
}
