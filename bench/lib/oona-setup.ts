import type { Cleanup } from './cleanup.ts';
import type { Ledger } from './oona-ledger.ts';
import type { Report } from './report.ts';

/** What every part of bench/oona.ts works with. */
export interface OonaSetup {
  /** Of a server that the benchmark started itself, and empties. */
  readonly redisUrl: string;
  readonly cleanup: Cleanup;
  readonly ledger: Ledger;
  readonly report: Report;
}
