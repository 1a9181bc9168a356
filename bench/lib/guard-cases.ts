import { openEmergencySignal } from '../../src/signals/index.ts';
import { createEmergencyController, createTrainingGuard } from '../../src/tolaria/index.ts';
import type { Cleanup } from './cleanup.ts';
import type { MicroCase } from './micro.ts';
import { BENCH_RUN_ID } from './weatherlight-process.ts';

const LOSSES = 1024;

/** A healthy run: the loss falls from 1.1 towards 1 and rises again, with a little noise, for ever. */
function healthyLosses(): Float64Array {
  return Float64Array.from({ length: LOSSES }, (_, i) => {
    const noise = ((i * 7919) % 101) / 101 - 0.5;
    return 1.05 + 0.05 * Math.cos((2 * Math.PI * i) / LOSSES) + 0.02 * noise;
  });
}

/** TrainingGuard.step() when nothing is wrong, snapshots included; the snapshot itself (the trainer's copy) is empty. */
export function guardCases(segment: string, cleanup: Cleanup): MicroCase[] {
  const signal = openEmergencySignal(segment);
  const controller = createEmergencyController({ signal, runId: BENCH_RUN_ID });
  const guard = createTrainingGuard({ controller, snapshot: () => 0, restore: () => undefined });
  cleanup.add(async () => {
    await guard.close();
    await controller.close();
    signal.unlink();
    signal.close();
  });
  const losses = healthyLosses();
  let step = 0;
  const body = (times: number): number => {
    let continued = 0;
    for (let i = 0; i < times; i++) {
      step += 1;
      if (guard.step({ step, loss: losses[step % LOSSES] ?? 1 }) === 'continue') continued += 1;
    }
    // A step that found something wrong is another measurement.
    if (continued !== times) throw new Error('the guard took a healthy run for a sick one');
    return continued;
  };
  return [{ id: 'guard_step', title: 'TrainingGuard.step(), nothing wrong', body }];
}
