// A trainer whose event loop is stuck: `busy-trainer.ts <segment> <run id>`. On 'go' it raises the flag, then computes
// without a pause, so nothing of it but what trigger() did inside its call can have left the process.
import { EmergencyLevel } from '../../src/leyline/messages.ts';
import { openEmergencySignal } from '../../src/signals/index.ts';
import type { FromTrainer, ToTrainer } from '../lib/busy.ts';

const [segment = '', runId = ''] = process.argv.slice(2);
const signal = openEmergencySignal(segment);

const tell = (message: FromTrainer): void => {
  process.send?.(message);
};

process.once('disconnect', () => process.exit(0));
process.on('message', (message: ToTrainer) => {
  const enteredNs = process.hrtime.bigint();
  const signalId = signal.trigger(EmergencyLevel.EMERGENCY_LEVEL_CONSERVATIVE, {
    reason: 'loss exploded',
    origin: 'bench',
    runId,
    step: message.step,
  });
  const untilNs = enteredNs + BigInt(message.busyMs) * 1_000_000n;
  while (process.hrtime.bigint() < untilNs);
  tell({ type: 'done', signalId, enteredNs: enteredNs.toString() });
});
tell({ type: 'ready' });
