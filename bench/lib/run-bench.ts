import { Cleanup } from './cleanup.ts';
import { parseBenchOptions } from './options.ts';
import { Report, type Target } from './report.ts';

export interface Bench {
  /** Of the JSON line, and the first word printed. */
  readonly name: string;
  /** Printed for --help. */
  readonly about: string;
  readonly targets: readonly Target[];
  /** Fills the report; `quick` asks for a whole run in under a minute. */
  measure(report: Report, quick: boolean, cleanup: Cleanup): Promise<void>;
}

/** The frame of every benchmark: options, machine, measurement, targets, JSON line, and the clean-up whatever happens. */
export async function runBench({ name, about, targets, measure }: Bench): Promise<void> {
  const options = parseBenchOptions(process.argv.slice(2), about);
  if (options === undefined) return;
  const cleanup = new Cleanup();
  try {
    const report = new Report(name);
    report.printMachine();
    await measure(report, options.quick, cleanup);
    report.printTargets(targets);
    if (options.json) report.printJson();
  } catch (error) {
    if (!cleanup.interrupted) console.error(error);
    process.exitCode = 1;
  } finally {
    await cleanup.run();
  }
}
