/** What a drill is, and what it reports. */
import type { BusTarget } from './plan.ts';

export interface Row {
  readonly drill: string;
  /** The engine it ran against. */
  readonly engine: string;
  readonly sent: number;
  readonly handled: number;
  readonly duplicates: number;
  readonly lost: number;
  readonly deadLetters: number;
  /** SIGKILLs of consumers that had entries in hand. */
  readonly consumerKills: number;
  /** SIGKILLs of redis-server. */
  readonly redisKills: number;
  readonly faults: number;
  /** At each fault: entries in consumers' hands and publishes without an answer; all of them, and the fewest. */
  readonly inFlight: number;
  readonly inFlightLeast: number;
  /** The longest; see docs/drills.md for what counts as recovered. */
  readonly recoveryMs: number | undefined;
  /** Longest time in which no event was handled anywhere, the fault included. */
  readonly silenceMs: number;
  /** Consumers that ended cleanly, and for how many of them the counters add up. */
  readonly cleanEnds: number;
  readonly identities: number;
  readonly tookS: number;
  /** What else is worth a number in this drill. */
  readonly notes: readonly string[];
  /** Empty when all holds. */
  readonly problems: readonly string[];
}

export interface DrillContext {
  readonly messages: number;
  readonly log: (text: string) => void;
}

export interface Drill {
  readonly name: string;
  readonly about: string;
  run(context: DrillContext): Promise<Row>;
}

/** Servers that a drill started for itself. */
export interface Engine {
  readonly label: string;
  readonly target: BusTarget;
  end(): Promise<void>;
}
