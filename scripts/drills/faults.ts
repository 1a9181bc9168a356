/** The faults of one drill: each placed while something is in flight, each with its recovery. */
import type { Accounts } from './accounts.ts';
import type { Row } from './drill.ts';
import type { Stage } from './stage.ts';
import { nowMs, poll } from './wait.ts';

interface Fault {
  readonly what: string;
  readonly inFlight: number;
  /** From here on recovery counts. */
  readonly endedMs: number;
  /**
   * Recovered when both sides moved again (default), or when each of these entries was handled by somebody; with
   * none of them there is nothing to recover.
   */
  readonly entryIds?: readonly string[];
}

/** A watchdog: with messages flowing, some are in flight at nearly any time. */
const IN_FLIGHT_TIMEOUT_MS = 15_000;

type FaultColumns = Pick<
  Row,
  'consumerKills' | 'redisKills' | 'faults' | 'inFlight' | 'inFlightLeast' | 'recoveryMs'
>;

export class Faults {
  readonly #stage: Stage;
  readonly #faults: Fault[] = [];
  consumerKills = 0;
  redisKills = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  get count(): number {
    return this.#faults.length;
  }

  /** Entries in consumers' hands and publishes without an answer, once there are some of both kinds or of the one asked for. */
  inFlight(): Promise<number> {
    return poll('something in flight', { timeoutMs: IN_FLIGHT_TIMEOUT_MS, everyMs: 1 }, async () => {
      const [pending, status] = await Promise.all([this.#stage.inspector.pending(), this.#stage.status()]);
      return pending.length > 0 && status.unsettled + pending.length;
    });
  }

  /** Waits for something in flight, does `harm`, and counts recovery from when it is over. */
  async place(what: string, harm: () => Promise<unknown>): Promise<void> {
    const inFlight = await this.inFlight();
    this.#stage.log(`${what}: ${inFlight} in flight`);
    await harm();
    this.record({ what, inFlight, endedMs: nowMs() });
  }

  record(fault: Fault): void {
    this.#faults.push(fault);
  }

  summary(): { readonly row: FaultColumns; readonly problems: readonly string[] } {
    const { accounts } = this.#stage;
    const problems: string[] = [];
    const recoveries = this.#faults.flatMap((fault) => {
      if (fault.entryIds?.length === 0) return [];
      const recoveredMs = recoveryOf(fault, accounts);
      if (recoveredMs === undefined) problems.push(`${fault.what}: nothing moved after it`);
      return recoveredMs ?? [];
    });
    const inFlight = this.#faults.map((fault) => fault.inFlight);
    if (this.#faults.length === 0) problems.push('no fault was placed');
    if (inFlight.some((count) => count === 0)) problems.push('a fault hit nothing in flight');
    const row = {
      ...{ consumerKills: this.consumerKills, redisKills: this.redisKills, faults: this.#faults.length },
      inFlight: inFlight.reduce((sum, count) => sum + count, 0),
      inFlightLeast: Math.min(...inFlight),
      recoveryMs: recoveries.length === 0 ? undefined : Math.max(...recoveries),
    };
    return { row, problems };
  }
}

function recoveryOf({ endedMs, entryIds }: Fault, accounts: Accounts): number | undefined {
  return entryIds === undefined ? accounts.recoveredInMs(endedMs) : accounts.takenUpInMs(entryIds, endedMs);
}
