/** One consumer of the group. What it handles stands in its ledger before the bus may acknowledge it. */
import type { EmergencyHandler } from '../../src/oona/index.ts';
import type { Consumer, Delivery, DeliveryHandler } from '../../src/oona/work-types.ts';
import { type DrillConsumer, openConsumer } from './bus.ts';
import { farewell, serveCalls } from './child-main.ts';
import { steppedClock } from './clock.ts';
import { LedgerWriter } from './ledger.ts';
import type { ConsumerPlan } from './plan.ts';
import { delay, nowMs } from './wait.ts';

const clock = steppedClock();
let opened: DrillConsumer | undefined;
let ending: Promise<void> | undefined;

function handlerOf(plan: ConsumerPlan, ledger: LedgerWriter): DeliveryHandler {
  const { failEvery = 0 } = plan;
  const handle = ({ eventId, entryId, deliveryCount }: Delivery): void => {
    if (failEvery > 0 && deliveryCount === 1 && Math.random() * failEvery < 1)
      throw new Error('now and then');
    ledger.write({ eventId, entryId, word: String(deliveryCount), atMs: nowMs() });
  };
  if (plan.sync === true) return handle;
  return async (delivery) => {
    // Nothing else runs: what this process had in flight stays pending.
    if (delivery.eventId === plan.poison) process.exit(70);
    if (plan.handlerMs > 0) await delay(Math.random() * plan.handlerMs);
    handle(delivery);
  };
}

function emergencyHandlerOf(path: string): EmergencyHandler {
  const ledger = new LedgerWriter(path);
  return ({ message, entryId, deliveryCount }) => {
    ledger.write({ eventId: message.signalId, entryId, word: String(deliveryCount), atMs: nowMs() });
  };
}

function end(): Promise<void> {
  ending ??= (async () => {
    await opened?.consumer.stop();
    const stats = opened?.consumer.stats();
    await opened?.close();
    await farewell(stats);
  })();
  return ending;
}

process.on('SIGTERM', () => void end());

serveCalls({
  start: async (argument): Promise<Pick<Consumer, 'consumer'>> => {
    const plan = argument as ConsumerPlan;
    const heard = plan.emergencyLedger === undefined ? undefined : emergencyHandlerOf(plan.emergencyLedger);
    opened = openConsumer(plan, handlerOf(plan, new LedgerWriter(plan.ledger)), clock, heard);
    await opened.consumer.start();
    return { consumer: opened.consumer.consumer };
  },
  stats: () => opened?.consumer.stats(),
  step: (argument) => clock.step(argument as number),
});
