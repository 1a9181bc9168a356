import type { Clock } from '../core/clock.ts';
import { errorCode, errorMessage } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Metrics } from '../core/metrics.ts';
import type { Random } from '../core/random.ts';
import { HOST_GROUP_PREFIX } from './streams.ts';
import type { BusTransport, CallOptions } from './transport/transport.ts';

export interface HostGroupOptions {
  readonly transport: BusTransport;
  /** The emergency stream. */
  readonly stream: string;
  /** The own group, which is never looked at. */
  readonly group: string;
  /** A group whose consumers were silent for longer is removed, milliseconds. */
  readonly ttlMs: number;
  /** Bound on each call, milliseconds. */
  readonly callDeadlineMs: number;
  readonly onRemoved: ((removed: RemovedHostGroup) => void) | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** A host that was not heard of for longer than emergencies are kept. Back again, its reader starts anew. */
export interface RemovedHostGroup {
  readonly stream: string;
  readonly group: string;
  /** Entries that it had been handed and never acknowledged. */
  readonly pending: number;
}

/** Groups looked into at a time: an emergency stream that is quiet for days makes all of them candidates. */
const CANDIDATES = 16;
const SHORTEST_INTERVAL_MS = 1000;
const LONGEST_INTERVAL_MS = 60_000;

/**
 * Removes the groups of hosts that are gone from the emergency stream: they would pin what they were handed, and make
 * each look at the groups dearer, for ever. Every host does it, so each seldom: about one look a second for all of a
 * thousand hosts.
 */
export class HostGroupCleaner {
  readonly #options: HostGroupOptions;
  #groups = 1;

  constructor(options: HostGroupOptions) {
    this.#options = options;
  }

  /** Goes on until aborted; failures are made up for by the next look. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, logger, stream } = this.#options;
    while (!signal.aborted) {
      await clock.sleep(this.#intervalMs() * (0.5 + random()), signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await this.look(signal);
      } catch (error) {
        logger.debug({ code: errorCode(error), stream }, `host groups not looked at: ${errorMessage(error)}`);
      }
    }
  }

  /** One look; returns what was removed. Rejects with TransportError. */
  async look(signal?: AbortSignal): Promise<readonly RemovedHostGroup[]> {
    const { transport, stream, group, ttlMs, callDeadlineMs, metrics } = this.#options;
    const call: CallOptions = { deadlineMs: callDeadlineMs, ...(signal === undefined ? {} : { signal }) };
    const all = (await transport.groups(stream, call)).filter((one) =>
      one.group.startsWith(HOST_GROUP_PREFIX),
    );
    this.#groups = Math.max(1, all.length);
    metrics.setGauge('oona.emergency.host_groups', all.length);
    const oldestMs = (await transport.timeMs(call)) - ttlMs;
    const quiet = all.filter(
      (one) => one.group !== group && Number(one.lastDeliveredId.split('-')[0]) < oldestMs,
    );
    const removed: RemovedHostGroup[] = [];
    for (const { group: name, pending } of this.#some(quiet)) {
      const consumers = await transport.consumers(stream, name, call);
      // Reading counts, also when nothing comes: only a host whose reader is gone is silent.
      if (consumers.some(({ idleMs }) => idleMs <= ttlMs)) continue;
      await transport.removeGroup(stream, name, call);
      removed.push({ stream, group: name, pending });
    }
    for (const one of removed) this.#tell(one);
    return removed;
  }

  #intervalMs(): number {
    const { ttlMs } = this.#options;
    const shortest = Math.max(SHORTEST_INTERVAL_MS, Math.min(LONGEST_INTERVAL_MS, ttlMs / 10));
    return Math.max(shortest, this.#groups * 1000);
  }

  /** Another part each time, or a few living hosts at the beginning would hide the dead behind them. */
  #some<T>(candidates: readonly T[]): readonly T[] {
    const from = Math.floor(this.#options.random() * candidates.length);
    return [...candidates.slice(from), ...candidates.slice(0, from)].slice(0, CANDIDATES);
  }

  #tell(removed: RemovedHostGroup): void {
    const { metrics, logger, onRemoved, ttlMs } = this.#options;
    metrics.increment('oona.emergency.host_groups_removed_total');
    logger.warn({ ...removed, ttlMs }, 'a host was not heard of for longer than emergencies are kept');
    try {
      onRemoved?.(removed);
    } catch (error) {
      logger.error({ group: removed.group }, `onHostGone threw: ${errorMessage(error)}`);
    }
  }
}
