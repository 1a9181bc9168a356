import { type BackoffOptions, backoffDelayMs } from '../core/backoff.ts';
import type { EmergencyPublisher, PublishResult } from '../oona/types.ts';
import type { EmergencyRecord } from '../signals/types.ts';
import { endedBesides, holderOf } from '../tolaria/flag-access.ts';
import { FAST_PATH_LEVEL } from '../tolaria/levels.ts';
import { type EmergencyFacts, toEmergencySignal, toTelemetryPacket } from '../tolaria/messages.ts';
import type { FlagContext } from './context.ts';
import { SeenIds } from './seen-ids.ts';
import { createWaker } from './waker.ts';

const RETRY: BackoffOptions = Object.freeze({ baseMs: 50, capMs: 1000 });

/**
 * Publishes what this host's ring holds and nobody has marked published: the raiser was killed, its event loop is
 * busy, or the bus is away. Each record is retried until it is stored; the bus stores a signal id once.
 */
export interface Outbox {
  /** Something may be pending. Cheap; call it for every batch of records and when the bus comes back. */
  kick(): void;
  /** Records of the ring that nobody has marked published. */
  pending(): number;
  /** Runs until aborted. Sleeps without a timer while nothing is pending. */
  run(stop: AbortSignal): Promise<void>;
  /** One attempt for everything pending, whatever its age; for the shutdown. Returns what is left. */
  drain(stop: AbortSignal): Promise<number>;
}

/** What leaves the host of a record; the same, field by field, as its raiser would send. */
export function factsOf(record: EmergencyRecord, history: readonly EmergencyRecord[]): EmergencyFacts {
  const { signalId, level, reason, origin, runId, step, monotonicNs } = record;
  const wallMs = Number(record.wallNs / 1_000_000n);
  // Other hosts know the emergency that held the level; the record names the latest, which may never have left here.
  const facts = { signalId, level, reason, origin, runId, step, monotonicNs, wallMs };
  if (record.cleared === undefined) return { ...facts, clearedSignalId: undefined };
  const clearedSignalId = holderOf(history, record.cleared)?.signalId ?? record.clearedSignalId;
  return {
    ...facts,
    clearedSignalId,
    alsoClearedIds: endedBesides(history, record.cleared, clearedSignalId),
  };
}

/** A clear goes where the emergency went that it lowers. */
function leavesOnFastPath(record: EmergencyRecord): boolean {
  return (record.cleared ?? record).level >= FAST_PATH_LEVEL;
}

export function createOutbox(context: FlagContext): Outbox {
  const { clock, metrics, settings } = context;
  const waker = createWaker(clock);
  const minAgeNs = BigInt(settings.outboxDelayMs) * 1_000_000n;
  const reported = new SeenIds(256);
  let failures = 0;

  function ageNs(record: EmergencyRecord): bigint {
    const age = clock.monotonicNs() - record.monotonicNs;
    // Another time namespace can stamp from the future: such a record is published at once rather than in a year.
    return age < 0n ? minAgeNs : age;
  }

  function pending(): EmergencyRecord[] {
    const records = context.signal.unpublished(0);
    metrics.setGauge('weatherlight.outbox.pending', records.length);
    return records;
  }

  function publish(
    bus: EmergencyPublisher,
    record: EmergencyRecord,
    stop: AbortSignal,
  ): Promise<PublishResult> {
    const facts = factsOf(record, context.signal.history());
    const sender = { hostId: settings.hostId, bootId: context.bootId };
    return settings.fastPathEnabled && leavesOnFastPath(record)
      ? bus.publishEmergency(toEmergencySignal(facts, sender), { signal: stop })
      : bus.publishTelemetry(toTelemetryPacket(facts, sender), { signal: stop });
  }

  function succeeded(record: EmergencyRecord, outcome: 'published' | 'duplicate'): void {
    context.signal.markPublished(record);
    metrics.increment(`weatherlight.outbox.${outcome}_total`);
    const via = settings.fastPathEnabled && leavesOnFastPath(record) ? 'emergency' : 'telemetry';
    const ageMs = Number(ageNs(record)) / 1e6;
    context.emit({ type: 'outboxPublished', signalId: record.signalId, via, outcome, ageMs });
    context.logger.info({ signalId: record.signalId, via, outcome, ageMs }, 'outbox: record published');
  }

  /** Every attempt counts; people are told once a record, not once an attempt of an outage. */
  function failed(record: EmergencyRecord, result: Extract<PublishResult, { outcome: 'failed' }>): void {
    metrics.increment('weatherlight.outbox.failed_total');
    if (!reported.add(record.signalId)) return;
    const { code, reason } = result;
    context.emit({ type: 'outboxFailed', signalId: record.signalId, code, reason });
    context.logger.warn({ signalId: record.signalId, code, reason }, 'outbox: not published yet, retrying');
  }

  /** Oldest first, so that a clear never overtakes its emergency. Returns whether all are stored. */
  async function publishAll(bus: EmergencyPublisher, records: readonly EmergencyRecord[], stop: AbortSignal) {
    let all = true;
    for (const record of records) {
      if (stop.aborted) return false;
      const result = await publish(bus, record, stop);
      if (result.outcome !== 'failed') {
        succeeded(record, result.outcome);
        continue;
      }
      failed(record, result);
      all = false;
      // The bus is away for the others as well. A record that the bus refuses for itself must not hold them up.
      if (result.retryable) return false;
    }
    return all;
  }

  /** Returns how long to wait for the next pass, milliseconds; undefined: until kicked. */
  async function pass(bus: EmergencyPublisher, stop: AbortSignal): Promise<number | undefined> {
    const records = pending();
    const due = records.filter((record) => ageNs(record) >= minAgeNs);
    if (!(await publishAll(bus, due, stop))) {
      failures += 1;
      return settings.outboxDelayMs + backoffDelayMs(failures, RETRY, context.random);
    }
    failures = 0;
    const next = pending()[0];
    return next === undefined ? undefined : Math.max(1, Number(minAgeNs - ageNs(next)) / 1e6);
  }

  return {
    kick: () => waker.kick(),
    pending: () => pending().length,
    async run(stop) {
      const { bus } = context;
      if (bus === undefined) return;
      while (!stop.aborted) {
        let waitMs: number | undefined = RETRY.capMs;
        try {
          waitMs = await pass(bus, stop);
        } catch (error) {
          context.reportError('outbox', error);
        }
        await waker.wait(waitMs, stop);
      }
    },
    async drain(stop) {
      const { bus } = context;
      if (bus !== undefined) await publishAll(bus, pending(), stop);
      return pending().length;
    },
  };
}
