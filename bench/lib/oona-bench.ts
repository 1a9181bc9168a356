import { startRedis } from '../../test/helpers/redis-server.ts';
import type { Cleanup } from './cleanup.ts';
import { type ConsumePlan, measureConsume } from './oona-consume.ts';
import { type EmergencyPlan, measureEmergency } from './oona-emergency.ts';
import { type EndToEndPlan, measureEndToEnd } from './oona-end-to-end.ts';
import { type FanOutPlan, measureFanOut } from './oona-fanout.ts';
import { Ledger } from './oona-ledger.ts';
import { measureProcess, type ProcessPlan } from './oona-process.ts';
import { measurePublish, type PublishPlan } from './oona-publish.ts';
import type { OonaSetup } from './oona-setup.ts';
import { installPeers } from './peers.ts';
import { pingUs } from './redis.ts';
import type { Report } from './report.ts';

export interface OonaPlan {
  readonly publish: PublishPlan;
  readonly consume: ConsumePlan;
  readonly endToEnd: EndToEndPlan;
  readonly process: ProcessPlan;
  readonly emergency: EmergencyPlan;
  readonly fanOut: FanOutPlan;
}

async function ping({ redisUrl, report }: OonaSetup, when: 'begin' | 'end'): Promise<void> {
  const summary = await pingUs(redisUrl);
  report.record(`redis_ping_${when}`, 'us', summary);
  report.printTable(`Noise canary at the ${when} (µs)`, [{ name: 'Redis PING', summary }]);
}

/** Everything that bench/oona.ts tells. False when a message was lost, came twice or came from nowhere. */
export async function measureOona(report: Report, plan: OonaPlan, cleanup: Cleanup): Promise<boolean> {
  try {
    await installPeers();
  } catch (error) {
    console.log(`\n  ${error instanceof Error ? error.message : String(error)}`);
  }
  const redis = await startRedis();
  cleanup.add(() => redis.stop());
  const setup: OonaSetup = { redisUrl: redis.url, cleanup, report, ledger: new Ledger() };
  await ping(setup, 'begin');
  await measurePublish(setup, plan.publish);
  await measureConsume(setup, plan.consume);
  await measureEndToEnd(setup, plan.endToEnd);
  await measureProcess(setup, plan.process);
  await measureEmergency(setup, plan.emergency);
  await measureFanOut(setup, plan.fanOut);
  await ping(setup, 'end');
  return setup.ledger.tell(report);
}
