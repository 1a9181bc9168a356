import { Redis } from 'ioredis';
import { EmergencyLevel } from '../../src/leyline/messages.ts';
import { openEmergencySignal } from '../../src/signals/index.ts';
import type { Cleanup } from './cleanup.ts';
import { EMERGENCY_STREAM, type Host } from './escalate.ts';
import type { Report } from './report.ts';
import { summarize } from './samples.ts';
import { MessageVariant } from './wake-variant.ts';
import { startWeatherlight } from './weatherlight-process.ts';

const WARM_UP = 30;

/**
 * escalate() entered on host A to callback entered in a process of host B: Redis, B's supervisor and B's own flag lie
 * between. Both hosts are this machine, so no network is in the figure.
 */
export async function measureRemoteFlag(
  hostA: Host,
  setup: { redisUrl: string; prefix: string; cleanup: Cleanup },
  plan: { count: number; intervalMs: number },
  report: Report,
): Promise<void> {
  // A fresh host hears the emergencies of the last minutes first; those of the escalation part are no news here.
  const redis = new Redis(setup.redisUrl);
  await redis.del(EMERGENCY_STREAM);
  redis.disconnect();

  const segment = `${setup.prefix}-host-b`;
  const signal = openEmergencySignal(segment);
  setup.cleanup.add(() => {
    signal.unlink();
    signal.close();
  });
  const weatherlight = await startWeatherlight(
    { hostId: segment, signalName: segment, redisUrl: setup.redisUrl },
    setup.cleanup,
  );
  const variant = await MessageVariant.start('remote_flag', 'remote flag', 'ours', segment, setup.cleanup);
  await variant.connect(async () => (seq) => {
    const fields = { reason: 'loss exploded', step: seq };
    hostA.controller.escalate(EmergencyLevel.EMERGENCY_LEVEL_CONSERVATIVE, fields);
  });
  await variant.run(WARM_UP, plan.intervalMs);
  const block = await variant.run(plan.count, plan.intervalMs);
  await variant.close();
  await weatherlight.stop();

  const summary = summarize(block.latenciesUs.map((us) => us / 1e3));
  report.record('remote_flag', 'ms', summary);
  report.results.remote_flag_lost_count = block.lost;
  report.printTable(`escalate() on host A to callback on host B, one every ${plan.intervalMs} ms (ms)`, [
    { name: `over Redis and B's supervisor${block.lost > 0 ? ` (${block.lost} lost)` : ''}`, summary },
  ]);
}
