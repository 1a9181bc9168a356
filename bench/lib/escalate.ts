import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createKeyRing } from '../../src/leyline/key-ring.ts';
import { EmergencyLevel } from '../../src/leyline/messages.ts';
import { createOona, createRedisTransport } from '../../src/oona/index.ts';
import { openEmergencySignal } from '../../src/signals/index.ts';
import { createEmergencyController, type EmergencyController } from '../../src/tolaria/index.ts';
import type { Cleanup } from './cleanup.ts';
import type { Report } from './report.ts';
import { type Summary, summarize } from './samples.ts';
import { startTraining } from './trainer.ts';
import { BENCH_RUN_ID, BENCH_SECRET } from './weatherlight-process.ts';

export const EMERGENCY_STREAM = 'oona.emergency';
const BARE_STREAM = 'bench.bare';
/** The most that the option allows: here every escalation repeats the level, and none may go out as telemetry. */
const NO_CAP = 1_000_000;
const PUBLISH_TIMEOUT_MS = 5_000;
const WARM_UP = 50;

/** A trainer's end of the fast path: flag, signed bus, controller. */
export interface Host {
  readonly controller: EmergencyController;
  /** Escalates at CONSERVATIVE; resolves with the time from the call to the entry acknowledged by Redis, ns. */
  escalate(step: number): Promise<number>;
}

export async function openHost(redisUrl: string, segment: string, cleanup: Cleanup): Promise<Host> {
  const signal = openEmergencySignal(segment);
  const oona = createOona({
    transport: createRedisTransport({ url: redisUrl }),
    keyRing: createKeyRing({ current: { secret: BENCH_SECRET } }),
    source: 'tolaria',
    hostId: segment,
  });
  await oona.ensureReady();
  const controller = createEmergencyController({
    signal,
    bus: oona,
    runId: BENCH_RUN_ID,
    hostId: segment,
    bypassMaxPerMin: NO_CAP,
  });
  cleanup.add(async () => {
    await controller.close();
    await oona.close();
    signal.unlink();
    signal.close();
  });
  return { controller, escalate: (step) => escalateAndWait(controller, step) };
}

async function escalateAndWait(controller: EmergencyController, step: number): Promise<number> {
  let unsubscribe = (): void => undefined;
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<number>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error('escalation was not published')), PUBLISH_TIMEOUT_MS);
      let signalId = '';
      let before = 0n;
      unsubscribe = controller.subscribe((event) => {
        if (event.signalId !== signalId) return;
        if (event.type === 'published' && event.route === 'emergency') {
          resolve(Number(process.hrtime.bigint() - before));
        } else if (event.type === 'failed' || event.type === 'published') {
          reject(new Error(`escalation went wrong: ${JSON.stringify(event, (_, v) => String(v))}`));
        }
      });
      before = process.hrtime.bigint();
      const escalation = controller.escalate(EmergencyLevel.EMERGENCY_LEVEL_CONSERVATIVE, {
        reason: 'loss exploded',
        step,
      });
      signalId = escalation.signalId;
    });
  } finally {
    clearTimeout(timer);
    unsubscribe();
  }
}

/** A bare XADD of what the last escalation stored: the same bytes, without flag, signing and deduplication. */
async function openBareXadd(redisUrl: string, cleanup: Cleanup): Promise<() => Promise<number>> {
  const redis = new Redis(redisUrl);
  cleanup.add(() => redis.disconnect());
  const [last] = await redis.xrevrangeBuffer(EMERGENCY_STREAM, '+', '-', 'COUNT', 1);
  if (last === undefined) throw new Error('no escalation on the stream to copy');
  const [, fields] = last;
  return async () => {
    const before = process.hrtime.bigint();
    await redis.xadd(BARE_STREAM, '*', ...fields);
    return Number(process.hrtime.bigint() - before);
  };
}

/** What the process does between two measurements. */
type Meanwhile = (durationMs: number) => Promise<unknown>;

interface Pair {
  readonly escalate: Summary;
  readonly bare: Summary;
}

/** Escalation and bare XADD in turn, each once every `intervalMs`, who goes first alternating. */
async function inTurn(
  escalate: () => Promise<number>,
  bare: () => Promise<number>,
  plan: { count: number; intervalMs: number },
  meanwhile: Meanwhile,
): Promise<Pair> {
  const samples = { escalate: [] as number[], bare: [] as number[] };
  const once = async (which: 'escalate' | 'bare', keep: boolean): Promise<void> => {
    const ns = await (which === 'escalate' ? escalate() : bare());
    if (keep) samples[which].push(ns / 1e3);
  };
  for (let i = -WARM_UP; i < plan.count; i++) {
    for (const which of i % 2 === 0 ? (['escalate', 'bare'] as const) : (['bare', 'escalate'] as const)) {
      await once(which, i >= 0);
      await meanwhile(i < 0 ? 1 : plan.intervalMs / 2);
    }
  }
  return { escalate: summarize(samples.escalate), bare: summarize(samples.bare) };
}

function report(into: Report, prefix: string, title: string, pair: Pair): void {
  into.record(`${prefix}escalate`, 'us', pair.escalate);
  into.record(`${prefix}bare_xadd`, 'us', pair.bare);
  const ratio = pair.escalate.p50 / pair.bare.p50;
  into.ratios[`${prefix}escalate_p50_vs_bare_xadd`] = ratio;
  into.ratios[`${prefix}escalate_p99_vs_bare_xadd`] = pair.escalate.p99 / pair.bare.p99;
  into.printTable(
    title,
    [
      { name: 'escalate: flag, sign, deduplicate, XADD', summary: pair.escalate, ratio },
      { name: 'bare XADD of the same bytes', summary: pair.bare, ratio: 1 },
    ],
    { reference: 'bare XADD' },
  );
}

/**
 * Twice: in a trainer that trains on between its emergencies, as trainers do, and (`idle_…`) in a process that sleeps.
 * After a sleep the caches belong to others, and each line of code that is not in both paths costs several times more.
 */
export async function measureEscalate(
  host: Host,
  setup: { redisUrl: string; cleanup: Cleanup },
  plan: { count: number; intervalMs: number },
  into: Report,
): Promise<void> {
  let step = 0;
  const escalate = (): Promise<number> => host.escalate(step++);
  await escalate();
  const bare = await openBareXadd(setup.redisUrl, setup.cleanup);
  const train = await startTraining();
  const title = `escalate() entered to entry acknowledged by Redis, one every ${plan.intervalMs} ms`;
  const training = await inTurn(escalate, bare, plan, train);
  report(into, '', `${title}, training on digits meanwhile (µs)`, training);
  report(into, 'idle_', `${title}, asleep meanwhile (µs)`, await inTurn(escalate, bare, plan, sleep));
  for (const key of ['p50', 'p99', 'max'] as const) {
    into.results[`escalate_to_published_${key}_ms`] = training.escalate[key] / 1e3;
  }
}
