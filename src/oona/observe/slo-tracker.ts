/** Watches the objectives: counts over windows, budgets, burn rates, alerts. */
import type { Clock } from '../../core/clock.ts';
import { errorMessage } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { Metrics } from '../../core/metrics.ts';
import { AlertLatch, type AlertPace, type Standing, standingOf } from './alert.ts';
import {
  BURN_RULES,
  type BurnRule,
  type LimitObjective,
  type Objective,
  type RatioObjective,
  type Severity,
} from './slo-definitions.ts';
import { CountHistory, type Counts } from './slo-window.ts';

export interface SloAlert {
  readonly objective: string;
  /** Which rule: a burn rate's name, or 'limit'. */
  readonly rule: BurnRule['name'] | 'limit';
  readonly state: 'begin' | 'end';
  readonly severity: Severity;
  /** Burn rate over the long window, or the limited value. */
  readonly value: number;
  readonly threshold: number;
  readonly text: string;
  /** Unix milliseconds. */
  readonly atMs: number;
  /** Beginnings of this alert since the last telling that were not told. */
  readonly suppressed: number;
}

export interface BurnState {
  readonly rule: BurnRule['name'];
  readonly threshold: number;
  readonly long: number;
  readonly short: number;
  readonly active: boolean;
}

export interface RatioState {
  readonly name: string;
  readonly text: string;
  readonly target: number;
  /** Over the period, or since the start when that is shorter. */
  readonly good: number;
  readonly bad: number;
  readonly coversMs: number;
  /** good / (good + bad); 1 without events. */
  readonly ratio: number;
  readonly met: boolean;
  /** Of the budget that these events allow: 1 untouched, 0 spent, negative overspent. */
  readonly budgetRemaining: number;
  readonly burn: readonly BurnState[];
}

export interface LimitState {
  readonly name: string;
  readonly text: string;
  readonly value: number;
  readonly limit: number;
  readonly unit: string;
  readonly met: boolean;
  readonly active: boolean;
}

export interface SloSnapshot {
  readonly ratios: readonly RatioState[];
  readonly limits: readonly LimitState[];
  readonly activeAlerts: readonly {
    readonly objective: string;
    readonly rule: string;
    readonly severity: Severity;
  }[];
}

/** Cumulative counts of a ratio; of a limit, `bad` is what is limited (of a gauge, its value). */
export type CountSource = () => Counts;

export interface SloTrackerOptions<N extends string> {
  readonly objectives: readonly (Objective & { readonly name: N })[];
  readonly sources: Readonly<Record<N, CountSource>>;
  readonly periodMs: number;
  /** Fewer events in the long window begin no alert: one bad of one is no trend. */
  readonly minEvents: number;
  readonly pace: AlertPace;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly onAlert: ((alert: SloAlert) => void) | undefined;
}

interface Burning {
  readonly rule: BurnRule;
  readonly latch: AlertLatch;
}

interface Tracked {
  readonly objective: Objective;
  readonly read: CountSource;
  readonly history: CountHistory;
  readonly burning: readonly Burning[];
  readonly latch: AlertLatch;
}

export class SloTracker<N extends string> {
  readonly #options: SloTrackerOptions<N>;
  readonly #tracked: readonly Tracked[];

  constructor(options: SloTrackerOptions<N>) {
    this.#options = options;
    const nowMs = options.clock.monotonicMs();
    this.#tracked = options.objectives.map((objective) => {
      const read = options.sources[objective.name];
      const burning = BURN_RULES.map((rule) => ({ rule, latch: new AlertLatch(options.pace) }));
      const history = new CountHistory(options.periodMs, nowMs, read());
      return { objective, read, history, burning, latch: new AlertLatch(options.pace) };
    });
  }

  /** Takes a sample and judges; to be called every second or so. */
  tick(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const tracked of this.#tracked) {
      tracked.history.push(nowMs, tracked.read());
      if (tracked.objective.kind === 'ratio') this.#judgeRatio(tracked, tracked.objective, nowMs);
      else this.#judgeLimit(tracked, tracked.objective, nowMs);
    }
  }

  snapshot(): SloSnapshot {
    const nowMs = this.#options.clock.monotonicMs();
    const ratios: RatioState[] = [];
    const limits: LimitState[] = [];
    for (const tracked of this.#tracked) {
      if (tracked.objective.kind === 'ratio')
        ratios.push(this.#ratioState(tracked, tracked.objective, nowMs));
      else limits.push(this.#limitState(tracked, tracked.objective, nowMs));
    }
    return Object.freeze({
      ratios: Object.freeze(ratios),
      limits: Object.freeze(limits),
      activeAlerts: Object.freeze(this.#active()),
    });
  }

  #active(): SloSnapshot['activeAlerts'][number][] {
    return this.#tracked.flatMap(({ objective, burning, latch }) => {
      const { name } = objective;
      if (objective.kind === 'limit') {
        return latch.active ? [{ objective: name, rule: 'limit', severity: objective.severity }] : [];
      }
      return burning
        .filter((one) => one.latch.active)
        .map(({ rule }) => ({ objective: name, rule: rule.name, severity: rule.severity }));
    });
  }

  #burn(
    tracked: Tracked,
    { target }: RatioObjective,
    part: number,
    nowMs: number,
  ): { rate: number; events: number; coversMs: number } {
    const { good, bad, coversMs } = tracked.history.over(this.#options.periodMs / part, nowMs);
    const events = good + bad;
    return { rate: events === 0 ? 0 : bad / events / (1 - target), events, coversMs };
  }

  #judgeRatio(tracked: Tracked, objective: RatioObjective, nowMs: number): void {
    const { minEvents, pace, periodMs } = this.#options;
    for (const { rule, latch } of tracked.burning) {
      const long = this.#burn(tracked, objective, rule.longPart, nowMs);
      const short = this.#burn(tracked, objective, rule.shortPart, nowMs);
      const threshold = rule.burnRate;
      // Of a process that is younger than the short window nobody can say that it is a trend.
      const isKnown = long.events >= minEvents && long.coversMs >= periodMs / rule.shortPart;
      const over = isKnown && long.rate >= threshold && short.rate >= threshold;
      // The short window alone ends it: the long one remembers the trouble for its whole length.
      const standing: Standing = over
        ? 'over'
        : short.rate < threshold * pace.clearRatio
          ? 'under'
          : 'between';
      const told = latch.update(standing, nowMs);
      if (told === undefined) continue;
      const text = `${objective.text}: target ${objective.target}, burn rate ${long.rate.toFixed(2)}`;
      this.#tell(latch, {
        ...{ objective: objective.name, rule: rule.name, state: told, severity: rule.severity },
        ...{ value: long.rate, threshold, text },
      });
    }
  }

  #judgeLimit(tracked: Tracked, objective: LimitObjective, nowMs: number): void {
    const value = limitedValue(tracked, objective, nowMs);
    const { limit, severity, unit } = objective;
    const told = tracked.latch.update(standingOf(value, limit, this.#options.pace.clearRatio), nowMs);
    if (told === undefined) return;
    const text = `${objective.text}: ${value} ${unit}, limit ${limit}`;
    this.#tell(tracked.latch, {
      ...{ objective: objective.name, rule: 'limit', state: told, severity },
      ...{ value, threshold: limit, text },
    });
  }

  #tell(latch: AlertLatch, told: Omit<SloAlert, 'atMs' | 'suppressed'>): void {
    const { clock, metrics, logger, onAlert } = this.#options;
    const alert: SloAlert = Object.freeze({
      ...told,
      atMs: clock.wallMs(),
      suppressed: latch.takeSuppressed(),
    });
    if (alert.state === 'begin') {
      metrics.increment('oona.slo.alerts_total');
      logger.warn(alert, `slo alert begins: ${alert.text}`);
    } else logger.info(alert, `slo alert ended: ${alert.text}`);
    try {
      onAlert?.(alert);
    } catch (error) {
      metrics.increment('oona.slo.hook_errors_total');
      logger.error({ objective: alert.objective }, `onAlert threw: ${errorMessage(error)}`);
    }
  }

  #ratioState(tracked: Tracked, objective: RatioObjective, nowMs: number): RatioState {
    const { name, text, target } = objective;
    const { good, bad, coversMs } = tracked.history.over(this.#options.periodMs, nowMs);
    const ratio = good + bad === 0 ? 1 : good / (good + bad);
    const allowed = (good + bad) * (1 - target);
    const burn = tracked.burning.map(({ rule, latch }) =>
      Object.freeze({
        rule: rule.name,
        threshold: rule.burnRate,
        long: this.#burn(tracked, objective, rule.longPart, nowMs).rate,
        short: this.#burn(tracked, objective, rule.shortPart, nowMs).rate,
        active: latch.active,
      }),
    );
    return Object.freeze({
      ...{ name, text, target, good, bad, coversMs, ratio, met: ratio >= target },
      budgetRemaining: allowed === 0 ? 1 : 1 - bad / allowed,
      burn: Object.freeze(burn),
    });
  }

  #limitState(tracked: Tracked, objective: LimitObjective, nowMs: number): LimitState {
    const { name, text, limit, unit } = objective;
    const value = limitedValue(tracked, objective, nowMs);
    return Object.freeze({
      name,
      text,
      value,
      limit,
      unit,
      met: value <= limit,
      active: tracked.latch.active,
    });
  }
}

function limitedValue({ history, read }: Tracked, { windowMs }: LimitObjective, nowMs: number): number {
  return windowMs === 0 ? read().bad : history.over(windowMs, nowMs).bad;
}
