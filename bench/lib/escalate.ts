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

/** Escalation and bare XADD in turn, each once every `intervalMs`, who goes first alternating. */
export async function measureEscalate(
  host: Host,
  setup: { redisUrl: string; cleanup: Cleanup },
  plan: { count: number; intervalMs: number },
  report: Report,
): Promise<{ escalate: Summary; bare: Summary }> {
  let step = 0;
  const escalate = (): Promise<number> => host.escalate(step++);
  await escalate();
  const bare = await openBareXadd(setup.redisUrl, setup.cleanup);
  const samples = { escalate: [] as number[], bare: [] as number[] };
  const once = async (which: 'escalate' | 'bare', keep: boolean): Promise<void> => {
    const ns = await (which === 'escalate' ? escalate() : bare());
    if (keep) samples[which].push(ns / 1e3);
  };
  for (let i = -WARM_UP; i < plan.count; i++) {
    for (const which of i % 2 === 0 ? (['escalate', 'bare'] as const) : (['bare', 'escalate'] as const)) {
      await once(which, i >= 0);
      await sleep(i < 0 ? 1 : plan.intervalMs / 2);
    }
  }
  const result = { escalate: summarize(samples.escalate), bare: summarize(samples.bare) };
  report.record('escalate', 'us', result.escalate);
  report.record('bare_xadd', 'us', result.bare);
  for (const key of ['p50', 'p99', 'max'] as const) {
    report.results[`escalate_to_published_${key}_ms`] = result.escalate[key] / 1e3;
  }
  report.printTable(
    `escalate() entered to entry acknowledged by Redis, one every ${plan.intervalMs} ms (µs)`,
    [
      {
        name: 'escalate: flag, sign, deduplicate, XADD',
        summary: result.escalate,
        ratio: result.escalate.p50 / result.bare.p50,
      },
      { name: 'bare XADD of the same bytes', summary: result.bare, ratio: 1 },
    ],
    { reference: 'bare XADD' },
  );
  return result;
}
