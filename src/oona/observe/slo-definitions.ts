/** The bus's service level objectives, as data. docs/slo.md has the arithmetic. */
import { OptionError } from '../../core/errors.ts';

/** 'page': somebody should look now. 'ticket': somebody should look today. */
export type Severity = 'page' | 'ticket';

/** At least `target` of all events are good. The rest, 1 - target, is the error budget. */
export interface RatioObjective {
  readonly kind: 'ratio';
  readonly name: string;
  readonly text: string;
  /** Above 0.9306 and below 1: see `BURN_RULES`. */
  readonly target: number;
}

/** A value that must not be above `limit`. */
export interface LimitObjective {
  readonly kind: 'limit';
  readonly name: string;
  readonly text: string;
  readonly limit: number;
  readonly unit: string;
  /** The value is what was counted over this, milliseconds; 0: the value is a gauge. */
  readonly windowMs: number;
  readonly severity: Severity;
}

export type Objective = RatioObjective | LimitObjective;

/**
 * Multi-window burn rates of the SRE workbook ("Alerting on SLOs", approach 6), in parts of the period, so that they
 * keep their meaning when it is not 30 days. A burn rate of 1 spends the budget in exactly one period.
 */
export interface BurnRule {
  readonly name: 'fast' | 'slow' | 'steady';
  readonly severity: Severity;
  /** Begins when both windows burn at least this fast. */
  readonly burnRate: number;
  /** Periods in the long window's inverse: 720 is one hour of 30 days. */
  readonly longPart: number;
  /** The short window ends the alert soon after the trouble ended: a 12th of the long one. */
  readonly shortPart: number;
}

export const BURN_RULES: readonly BurnRule[] = Object.freeze([
  /** 2 % of the budget in one hour of 30 days. */
  Object.freeze({ name: 'fast', severity: 'page', burnRate: 14.4, longPart: 720, shortPart: 8640 }),
  /** 5 % of the budget in six hours of 30 days. */
  Object.freeze({ name: 'slow', severity: 'page', burnRate: 6, longPart: 120, shortPart: 1440 }),
  /** 10 % of the budget in three days of 30. */
  Object.freeze({ name: 'steady', severity: 'ticket', burnRate: 1, longPart: 10, shortPart: 120 }),
]);

const FASTEST = Math.max(...BURN_RULES.map(({ burnRate }) => burnRate));

export interface ObjectiveSettings {
  readonly publishTargetMs: number;
  readonly publishTarget: number;
  readonly deliveryTarget: number;
  readonly depthRecoveryMs: number;
  readonly depthRecoveryTarget: number;
  readonly highDepth: number;
  readonly limitWindowMs: number;
  readonly reroutedLimit: number;
  readonly droppedLimit: number;
}

/** What counts events for the objectives of `busObjectives`, by their names. */
export type ObjectiveName =
  | 'publish_latency'
  | 'publish_stored'
  | 'delivery'
  | 'depth_recovery'
  | 'depth_recovery_time'
  | 'publish_rerouted'
  | 'publish_dropped'
  | 'outbox_dropped';

export type BusObjective = Objective & { readonly name: ObjectiveName };

/** Throws OptionError. */
export function busObjectives(settings: ObjectiveSettings): readonly BusObjective[] {
  const { publishTargetMs, publishTarget, deliveryTarget, depthRecoveryMs, highDepth, limitWindowMs } =
    settings;
  const within = `within ${limitWindowMs / 1000} s`;
  return Object.freeze([
    ratio('publish_latency', publishTarget, `publishes stored within ${publishTargetMs} ms`),
    ratio('publish_stored', deliveryTarget, 'publishes that were stored, not dropped or failed'),
    ratio('delivery', deliveryTarget, 'entries acknowledged, not dead-lettered or lost'),
    ratio(
      'depth_recovery',
      settings.depthRecoveryTarget,
      `seconds in which no stream was ${highDepth} deep for more than ${depthRecoveryMs / 1000} s`,
    ),
    limit('depth_recovery_time', depthRecoveryMs, 'ms', 0, `a stream is ${highDepth} deep for longer`),
    limit('publish_rerouted', settings.reroutedLimit, 'messages', limitWindowMs, `rerouted ${within}`),
    limit('publish_dropped', settings.droppedLimit, 'messages', limitWindowMs, `dropped ${within}`),
    limit(
      'outbox_dropped',
      settings.droppedLimit,
      'messages',
      limitWindowMs,
      `dropped from the outbox ${within}`,
    ),
  ]);
}

function ratio(name: ObjectiveName, target: number, text: string): RatioObjective & { name: ObjectiveName } {
  // A burn rate can be no more than 1 / (1 - target): all events bad.
  if (!(target < 1) || FASTEST * (1 - target) > 1) {
    const least = (1 - 1 / FASTEST).toFixed(4);
    throw new OptionError(
      `slo: the target of ${name} must be above ${least} and below 1, got ${target}: at a lower one no alert could begin`,
    );
  }
  return Object.freeze({ kind: 'ratio', name, text, target });
}

function limit(
  name: ObjectiveName,
  most: number,
  unit: string,
  windowMs: number,
  text: string,
): LimitObjective & { name: ObjectiveName } {
  const severity = name === 'publish_rerouted' ? 'ticket' : 'page';
  return Object.freeze({ kind: 'limit', name, text, limit: most, unit, windowMs, severity });
}
