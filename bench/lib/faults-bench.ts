import type { Cleanup } from './cleanup.ts';
import { type BreakerPlan, measureBreaker } from './faults-breaker.ts';
import { type EmitPlan, measureEmit } from './faults-emit.ts';
import { type MemoryPlan, measureMemory } from './faults-memory.ts';
import { measurePipeline, type PipelinePlan } from './faults-pipeline.ts';
import { sink } from './faults-rounds.ts';
import { Ledger } from './oona-ledger.ts';
import { installPeers } from './peers.ts';
import type { Report } from './report.ts';

export interface FaultsPlan {
  readonly emit: EmitPlan;
  readonly pipeline: PipelinePlan;
  readonly breaker: BreakerPlan;
  readonly memory: MemoryPlan;
}

/** Everything that bench/faults.ts tells. False when an error, an event or a call was lost, or came twice. */
export async function measureFaults(report: Report, plan: FaultsPlan, cleanup: Cleanup): Promise<boolean> {
  try {
    await installPeers();
  } catch (error) {
    console.log(`\n  ${error instanceof Error ? error.message : String(error)}`);
  }
  const ledger = new Ledger({ key: 'counts', text: 'errors, events and calls, over all accounts of them' });
  await measureEmit(report, ledger, plan.emit);
  await measurePipeline(report, ledger, plan.pipeline);
  await measureBreaker(report, ledger, plan.breaker);
  await measureMemory(report, plan.memory, cleanup);
  console.log(`  (sink ${sink.value}: every result above went into it)`);
  return ledger.tell(report);
}
