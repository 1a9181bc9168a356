import { setImmediate as nextTurn } from 'node:timers/promises';
import { CircuitBreaker } from '../../src/core/circuit-breaker.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { nsEach, REHEARSALS, sink, type Turn, TurnRounds } from './faults-rounds.ts';
import type { Ledger } from './oona-ledger.ts';
import { loadPeer, type Peer } from './peers.ts';
import type { Report } from './report.ts';

export interface BreakerPlan {
  readonly rounds: number;
  /** Of each case in a round; one figure each. */
  readonly batches: number;
  /** Calls in a batch, one after the other. */
  readonly size: number;
}

/** A breaker around an async function, closed. */
interface Guarded {
  readonly id: string;
  readonly title: string;
  /** Calls it once. */
  call(): Promise<number>;
  /** Calls that the breaker let through. */
  counted(): number;
  close(): void;
}

/** What every breaker is around. */
function action(): { readonly run: () => Promise<number>; readonly calls: () => number } {
  let calls = 0;
  return {
    run: async () => {
      calls += 1;
      return calls & 1;
    },
    calls: () => calls,
  };
}

/** With every rule on: failures of a window of time, permits, a judge of errors and somebody who is told of changes. */
function own(): Guarded {
  const { run, calls } = action();
  let changes = 0;
  const breaker = new CircuitBreaker(
    { name: 'bench', logger: silentLogger, isFailure: (error) => !(error instanceof RangeError) },
    { tripOn: 'rate', windowMs: 10_000, minimumCalls: 20, failureRate: 0.5, halfOpenPermits: 2 },
  );
  breaker.onChange(() => {
    changes += 1;
  });
  return {
    id: 'own',
    title: 'CircuitBreaker.run(), every rule on',
    call: () => breaker.run(run),
    counted: () => (changes === 0 ? calls() : Number.NaN),
    close: () => undefined,
  };
}

interface OpossumBreaker {
  fire(): Promise<number>;
  shutdown(): void;
}
type Opossum = new (run: () => Promise<number>, options: object) => OpossumBreaker;

/** A time-out for each call and percentiles of its duration are what ours leaves to others: it is compared without. */
const OPOSSUMS = [
  {
    id: 'opossum',
    title: 'opossum fire(), no time-out, no percentiles',
    options: { timeout: false, rollingPercentilesEnabled: false, enableSnapshots: false },
  },
  { id: 'opossum_defaults', title: 'opossum fire(), defaults', options: {} },
];

function opossum(Breaker: Opossum): Guarded[] {
  return OPOSSUMS.map(({ id, title, options }) => {
    const { run, calls } = action();
    const breaker = new Breaker(run, { errorThresholdPercentage: 50, volumeThreshold: 20, ...options });
    return { id, title, call: () => breaker.fire(), counted: calls, close: () => breaker.shutdown() };
  });
}

interface Cockatiel {
  readonly handleAll: object;
  readonly SamplingBreaker: new (options: object) => object;
  circuitBreaker(policy: object, options: object): { execute(run: () => Promise<number>): Promise<number> };
}

function cockatiel({ circuitBreaker, handleAll, SamplingBreaker }: Cockatiel): Guarded[] {
  const { run, calls } = action();
  const rule = new SamplingBreaker({ threshold: 0.5, duration: 10_000, minimumRps: 2 });
  const policy = circuitBreaker(handleAll, { halfOpenAfter: 1000, breaker: rule });
  const call = () => policy.execute(run);
  return [
    { id: 'cockatiel', title: 'cockatiel execute(), sampling', call, counted: calls, close: () => undefined },
  ];
}

function peersOf<T>(title: string, peer: Peer<T>, open: (module: T) => Guarded[]): Guarded[] {
  if (peer.missing === undefined) return open(peer.module);
  console.log(`  ${title}: not measured, ${peer.missing}`);
  return [];
}

/** The same function without any: the floor. */
function bare(): Guarded {
  const { run, calls } = action();
  return { id: 'bare_call', title: 'no breaker', call: run, counted: calls, close: () => undefined };
}

function turnOf({ id, title, call }: Guarded, { batches, size }: BreakerPlan): Turn {
  const run = async (): Promise<number[]> => {
    const ns: number[] = [];
    for (let batch = 0; batch < batches; batch++) {
      const startNs = process.hrtime.bigint();
      let odd = 0;
      for (let i = 0; i < size; i++) odd += await call();
      ns.push(nsEach(startNs, size));
      sink.value += odd;
      // Or no timer ever runs, neither of ours nor of theirs.
      await nextTurn();
    }
    return ns;
  };
  return { id: `breaker_${id}`, title, run };
}

const callsIn = ({ rounds, batches, size }: BreakerPlan): number => (rounds + REHEARSALS) * batches * size;

/** A successful call through a closed breaker, beside opossum and cockatiel. */
export async function measureBreaker(report: Report, ledger: Ledger, plan: BreakerPlan): Promise<void> {
  const guarded = [
    own(),
    ...peersOf('opossum', loadPeer<Opossum>('opossum'), opossum),
    ...peersOf('cockatiel', loadPeer<Cockatiel>('cockatiel'), cockatiel),
    bare(),
  ];
  const turns = guarded.map((one) => turnOf(one, plan));
  const rounds = await TurnRounds.measure(turns, plan.rounds);
  rounds.tell(report, 'One call of an async function through a closed breaker (ns)', {
    id: 'breaker_own',
    name: 'ours',
  });
  for (const { id } of guarded) {
    if (id !== 'own') report.ratios[`breaker_vs_${id}`] = rounds.ratio('breaker_own', `breaker_${id}`);
  }
  for (const { title, counted, close } of guarded) {
    ledger.check(`${title}: calls`, callsIn(plan), counted());
    close();
  }
}
