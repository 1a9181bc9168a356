import type { Report, Row } from './report.ts';
import { figure } from './report.ts';
import { type Summary, shuffle, summarize } from './samples.ts';
import type { WakeVariant } from './wake-variant.ts';

export interface WakePlan {
  readonly intervalMs: number;
  readonly rounds: number;
  /**
   * Triggers of one variant in one round. Short: a virtual machine changes speed threefold for seconds at a time, and
   * each such spell has to meet all variants alike.
   */
  readonly block: number;
}

const WARM_UP_TRIGGERS = 200;

interface Collected {
  readonly variant: WakeVariant;
  readonly latenciesUs: number[];
  readonly callsUs: number[];
  lost: number;
}

/** Compiled code, connected sockets, grown buffers: none of their first times belongs into the samples. */
export async function warmUp(variants: readonly WakeVariant[]): Promise<void> {
  for (const variant of variants) await variant.run(WARM_UP_TRIGGERS, 1);
}

async function runRounds(variants: readonly WakeVariant[], plan: WakePlan): Promise<Collected[]> {
  const collected = variants.map(
    (variant): Collected => ({ variant, latenciesUs: [], callsUs: [], lost: 0 }),
  );
  for (let round = 0; round < plan.rounds; round++) {
    for (const into of shuffle(collected)) {
      if (round % into.variant.everyRounds !== 0) continue;
      const block = await into.variant.run(plan.block, plan.intervalMs);
      into.latenciesUs.push(...block.latenciesUs);
      into.callsUs.push(...block.callsUs);
      into.lost += block.lost;
    }
  }
  return collected;
}

function toRow(collected: Collected, summary: Summary, referenceP50: number | undefined): Row {
  const lost = collected.lost > 0 ? ` (${collected.lost} lost)` : '';
  const row = {
    name: collected.variant.title + lost,
    summary,
    extra: figure(summarize(collected.callsUs).p50),
  };
  return referenceP50 === undefined ? row : { ...row, ratio: summary.p50 / referenceP50 };
}

/** One table, `wake_<interval>ms_<variant>_…` results; returns the summaries by variant id, for the ratios. */
export async function measureWake(
  variants: readonly WakeVariant[],
  plan: WakePlan,
  report: Report,
): Promise<Map<string, Summary>> {
  const collected = await runRounds(variants, plan);
  const summaries = new Map(collected.map((each) => [each.variant.id, summarize(each.latenciesUs)]));
  const referenceP50 = summaries.get('unix_socket')?.p50;
  const rows: Row[] = [];
  for (const each of collected) {
    const summary = summaries.get(each.variant.id);
    if (summary === undefined) continue;
    rows.push(toRow(each, summary, referenceP50));
    const prefix = `wake_${plan.intervalMs}ms_${each.variant.id}`;
    report.record(prefix, 'us', summary);
    report.record(`${prefix}_call`, 'us', summarize(each.callsUs));
    report.results[`${prefix}_lost_count`] = each.lost;
  }
  report.printTable(
    `Trigger in one process to callback in another, one every ${plan.intervalMs} ms (µs)`,
    rows,
    { reference: 'Unix socket', extra: 'call p50' },
  );
  return summaries;
}
