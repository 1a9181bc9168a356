import type { Metrics } from '../core/metrics.ts';
import type { BusStats } from './bus.ts';
import type { EngineStats } from './engine-types.ts';
import { type DropReason, noDrops } from './subscription-stats.ts';

const COUNTS = ['received', 'delivered', 'dropped', 'queued', 'refused', 'waiting', 'bytes'] as const;

const DROP_REASONS = Object.keys(noDrops()) as DropReason[];

type Values = Readonly<Record<string, number>>;

/**
 * What an engine has taken in, delivered, dropped and still has: gauges, to be set whenever metrics are read. Of a fixed
 * set, whatever parts there are: `pipeline.internal.received`, `pipeline.external.dropped_for.timed_out`,
 * `pipeline.adapters.accepted`, `pipeline.emitters.down`. Those of several subscriptions or parts are added up.
 */
export function setEngineGauges(
  metrics: Metrics,
  { internal, external, adapters, emitters }: EngineStats,
): void {
  const all: Readonly<Record<string, Values>> = {
    ...{ internal: ofBus(internal), external: ofBus(external) },
    ...{ 'internal.dropped_for': ofDrops(internal), 'external.dropped_for': ofDrops(external) },
    adapters: { ...sums(adapters, ['failures', 'accepted', 'refused', 'afterStop']), down: down(adapters) },
    emitters: {
      ...sums(emitters, ['failures', 'emitted', 'failedCalls', 'abandoned']),
      down: down(emitters),
    },
  };
  for (const [of, values] of Object.entries(all)) {
    for (const [name, value] of Object.entries(values)) {
      metrics.setGauge(
        `pipeline.${of}.${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`,
        value,
      );
    }
  }
}

const ofBus = ({ subscriptions, published, unheard, refused }: BusStats): Values => ({
  ...sums(subscriptions, COUNTS),
  ...{ published, unheard, refusedOutright: refused },
  saturated: subscriptions.filter(({ saturated }) => saturated).length,
});

const ofDrops = ({ subscriptions }: BusStats): Values =>
  sums(
    subscriptions.map(({ droppedFor }) => droppedFor),
    DROP_REASONS,
  );

const down = (parts: readonly { readonly state: string }[]): number =>
  parts.filter(({ state }) => state !== 'running').length;

function sums<K extends string>(all: readonly Readonly<Record<K, number>>[], names: readonly K[]): Values {
  return Object.fromEntries(names.map((name) => [name, all.reduce((sum, one) => sum + one[name], 0)]));
}
