import type { BusLink } from './bus-link.ts';
import type { Context } from './context.ts';
import type { FlagSet } from './flag-set.ts';
import type { TelemetrySender } from './telemetry.ts';

/** How often the bus state, the segment's name and lost records are looked at. Detection never waits for this. */
const INTERVAL_MS = 250;

export interface HousekeepingParts {
  readonly link: BusLink;
  readonly flags: FlagSet;
  readonly telemetry: TelemetrySender;
}

/** Notices what announces itself to nobody, until aborted. */
export async function keepHouse(
  context: Context,
  parts: HousekeepingParts,
  stop: AbortSignal,
): Promise<void> {
  let overwritten = 0;

  function tellBusState(): void {
    const state = parts.link.changed();
    if (state === undefined) return;
    const { kind } = parts.link;
    context.metrics.setGauge('weatherlight.bus.up', state === 'up' ? 1 : 0);
    context.emit({ type: 'busState', state, kind });
    context.logger.info({ state, kind }, `bus is ${state}`);
    if (state !== 'up') return;
    // Nobody needs to sit out the rest of a back-off.
    for (const flag of parts.flags.all()) flag.outbox.kick();
    parts.telemetry.kick();
  }

  /** An emergency that was overwritten before anybody published it is never silent. */
  function tellOverwritten(): void {
    const total = parts.flags.primary.signal.stats().overwrittenUnpublished;
    context.metrics.setGauge('weatherlight.outbox.overwritten_unpublished', total);
    const count = total - overwritten;
    overwritten = total;
    if (count <= 0) return;
    context.emit({ type: 'outboxOverwritten', count });
    context.logger.error({ count }, 'emergencies were overwritten before anybody could publish them');
  }

  while (!stop.aborted) {
    tellBusState();
    parts.flags.refresh();
    tellOverwritten();
    await context.clock.sleep(INTERVAL_MS, stop).catch(() => undefined);
  }
}
