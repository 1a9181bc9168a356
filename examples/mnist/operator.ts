/**
 * The person with the red button: a process that knows nothing but the name of the flag. It raises HALT and is gone;
 * the flag outlives it.
 */
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/core/clock.ts';
import { errorMessage } from '../../src/core/errors.ts';
import { EmergencyLevel } from '../../src/leyline/messages.ts';
import { openEmergencySignal } from '../../src/signals/index.ts';
import { tell } from './events.ts';

const { values } = parseArgs({
  options: { signal: { type: 'string', default: '' }, run: { type: 'string', default: '' } },
});

try {
  const signal = openEmergencySignal(values.signal);
  if (signal.kind !== 'shared') throw new Error(`shared memory is not available: ${signal.degraded?.reason}`);
  const enteredMs = systemClock.monotonicMs();
  const signalId = signal.trigger(EmergencyLevel.EMERGENCY_LEVEL_HALT, {
    reason: 'operator: that is enough for today',
    origin: 'operator',
    runId: values.run,
  });
  tell({ type: 'operatorRaised', pid: process.pid, signalId, monotonicMs: enteredMs });
  signal.close();
} catch (error) {
  tell({ type: 'failed', message: errorMessage(error), monotonicMs: systemClock.monotonicMs() });
  process.exitCode = 1;
}
