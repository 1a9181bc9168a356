import type { CpuCost } from './oona-cpu.ts';
import { figure, type Report } from './report.ts';
import { median, summarize } from './samples.ts';

const NS_PER_US = 1e3;
const NS_PER_S = 1e9;

export const nowNs = (): bigint => process.hrtime.bigint();
export const usSince = (startNs: bigint): number => Number(nowNs() - startNs) / NS_PER_US;

/** Messages a second. */
export const rate = (count: number, startNs: bigint, endNs = nowNs()): number =>
  (count * NS_PER_S) / Number(endNs - startNs);

/** One after the other; microseconds each. */
export async function serially(count: number, once: (index: number) => Promise<unknown>): Promise<number[]> {
  const samples: number[] = [];
  for (let i = 0; i < count; i++) {
    const startNs = nowNs();
    await once(i);
    samples.push(usSince(startNs));
  }
  return samples;
}

/** Always `width` under way until all have ended. */
export async function inFlight(
  count: number,
  width: number,
  once: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await once(next++);
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, lane));
}

interface Rounds {
  readonly title: string;
  readonly perS: number[];
  readonly cpu: CpuCost[];
}

/** Of each variant, by id, one figure a round, all rounds in the same order. */
export class RoundRates {
  readonly #rounds = new Map<string, Rounds>();

  add(id: string, title: string, perS: number, cpu?: CpuCost): void {
    const known = this.#rounds.get(id) ?? { title, perS: [], cpu: [] };
    known.perS.push(perS);
    if (cpu !== undefined) known.cpu.push(cpu);
    this.#rounds.set(id, known);
  }

  /** Median of what the rounds say: a spell in which the machine was slow met both sides of a round. */
  ratio(id: string, reference: string): number {
    const [own, other] = [this.#rounds.get(id)?.perS ?? [], this.#rounds.get(reference)?.perS ?? []];
    return median(own.map((perS, round) => perS / (other[round] ?? Number.NaN)));
  }

  /** Medians: `<prefix>_<id>_per_s`, `_client_cpu_us` and `_server_cpu_us` results, and a table beside `reference`. */
  tell(report: Report, prefix: string, title: string, reference: { id: string; name: string }): void {
    const rows = [...this.#rounds].map(([id, { title: name, perS, cpu }]) => {
      report.results[`${prefix}_${id}_per_s`] = median(perS);
      const row = { name, summary: summarize(perS), ratio: this.ratio(id, reference.id) };
      if (cpu.length === 0) return row;
      const clientUs = median(cpu.map((cost) => cost.clientUs));
      const serverUs = median(cpu.map((cost) => cost.serverUs));
      report.results[`${prefix}_${id}_client_cpu_us`] = clientUs;
      report.results[`${prefix}_${id}_server_cpu_us`] = serverUs;
      return { ...row, extra: `${figure(clientUs)} + ${figure(serverUs)}` };
    });
    const columns = { reference: reference.name, extra: 'CPU µs, client + Redis' };
    report.printTable(`${title} (messages a second, one figure a round)`, rows, columns);
  }
}

/** Rejects when `promise` takes longer; nothing keeps the process alive. */
export async function within<T>(promise: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
