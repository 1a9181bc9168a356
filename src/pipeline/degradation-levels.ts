import type { DegradationAction, DegradationLevel } from '../faults/degradation-types.ts';
import type { Rate } from '../faults/rate-limiter-options.ts';
import type { AdapterPart } from './adapter.ts';
import type { Bus } from './bus.ts';
import type { LimitOverride } from './bus-options.ts';

export interface DegradationTargets {
  readonly buses: readonly Pick<Bus<never>, 'name' | 'override'>[];
  readonly adapters: readonly Pick<AdapterPart<never>, 'name' | 'limit'>[];
  /** What is left of the buffers, 0-1. */
  readonly bufferFactor: number;
  readonly rate: Rate;
  readonly collectGarbage: () => void;
}

/** An action whose undo is what its apply returned. */
function action(name: string, apply: () => () => void): DegradationAction {
  let undo: (() => void) | undefined;
  return {
    name,
    apply: () => {
      undo = apply();
    },
    undo: () => {
      undo?.();
      undo = undefined;
    },
  };
}

/**
 * What an engine does under memory pressure. 'shrink': smaller buffers, and a collection of garbage. 'shed': whoever
 * would wait is dropped, and adapters take in less; what is to be acknowledged is refused, never dropped.
 */
export function degradationLevels(targets: DegradationTargets): readonly DegradationLevel[] {
  const { buses, adapters, bufferFactor, rate, collectGarbage } = targets;
  const overrides = (name: string, override: LimitOverride) =>
    buses.map((bus) => action(`${name} ${bus.name}`, () => bus.override(override)));
  return [
    {
      name: 'shrink',
      actions: [
        ...overrides('shrink', { factor: bufferFactor }),
        action('collect garbage', () => {
          collectGarbage();
          return () => undefined;
        }),
      ],
    },
    {
      name: 'shed',
      actions: [
        ...overrides('drop slow', { dropSlow: true }),
        ...adapters.map((adapter) => action(`limit ${adapter.name}`, () => adapter.limit(rate))),
      ],
    },
  ];
}
