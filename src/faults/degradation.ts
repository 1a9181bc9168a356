/**
 * Graceful degradation: a program under pressure does less instead of dying, and does everything again when the pressure
 * is gone. Levels are ordered; each is a list of actions that are undone exactly, in reverse order.
 *
 * Health endpoints must be no target of an action: whoever restarts this process by what they say would end it just when
 * it helps itself.
 */
import { setImmediate } from 'node:timers';
import { type Clock, systemClock } from '../core/clock.ts';
import { OptionError } from '../core/errors.ts';
import type { Metrics } from '../core/metrics.ts';
import { requireRange } from '../core/options.ts';
import { ErrorSeverity } from '../leyline/messages.ts';
import { DegradationActions } from './degradation-actions.ts';
import {
  DEGRADATION_OPTIONS,
  type DegradationOptions,
  type ResolvedDegradationOptions,
} from './degradation-options.ts';
import type { DegradationLevel, DegradationSnapshot } from './degradation-types.ts';
import type { ErrorReport, ErrorSink } from './error-event.ts';
import { FaultsClosedError } from './errors.ts';

export interface DegradationParts {
  /** From mild to severe; level n has the first n in force. */
  readonly levels: readonly DegradationLevel[];
  /** Is told every change, and every action that failed. */
  readonly errors: ErrorSink;
  readonly clock?: Pick<Clock, 'monotonicMs' | 'sleep'>;
  /** Gets `pipeline.degradation.level`, `.activations_total`, `.clearances_total` and `.failures_total`. */
  readonly metrics?: Metrics;
  /** As events name it. Default: 'engine'. */
  readonly component?: string;
}

const METRIC = 'pipeline.degradation';

export class GracefulDegradation {
  readonly #levels: readonly DegradationLevel[];
  readonly #parts: DegradationParts;
  readonly #clock: Pick<Clock, 'monotonicMs' | 'sleep'>;
  readonly #options: ResolvedDegradationOptions;
  readonly #actions = new DegradationActions((name, step, error) => this.#tellFailure(name, step, error));
  readonly #over = new AbortController();
  #level = 0;
  #byHand = 0;
  #byPressure = 0;
  #changedAtMs: number;
  #isChanging = false;
  #isRetrying = false;
  #activations = 0;
  #clearances = 0;
  #failures = 0;

  /** Throws OptionError. */
  constructor(parts: DegradationParts, options: DegradationOptions = {}) {
    this.#options = DEGRADATION_OPTIONS.resolve(options);
    this.#levels = checkLevels(parts.levels);
    this.#parts = parts;
    this.#clock = parts.clock ?? systemClock;
    this.#changedAtMs = this.#clock.monotonicMs();
    for (const name of ['activations_total', 'clearances_total', 'failures_total'])
      parts.metrics?.increment(`${METRIC}.${name}`, 0);
    parts.metrics?.setGauge(`${METRIC}.level`, 0);
  }

  /** In force now: 0 is none. */
  get level(): number {
    return this.#level;
  }

  /**
   * What the pressure asks for: 0 for none, n for the first n levels; more than there are is all. Without `automatic` it
   * is only remembered. Never throws but OptionError for what is no number from 0.
   */
  update(level: number, reason: string): void {
    this.#byPressure = this.#levelOf(level);
    this.#follow(reason);
  }

  /** By hand, by number (1 is the first) or name: at least this level is in force until leave(). Throws OptionError. */
  enter(level: number | string, reason: string): void {
    if (this.#over.signal.aborted) throw new FaultsClosedError('graceful degradation');
    this.#byHand = this.#levelOf(level);
    this.#follow(reason);
  }

  /** Takes back enter(). The pressure's level stays in force. */
  leave(reason: string): void {
    this.#byHand = 0;
    this.#follow(reason);
  }

  snapshot(): DegradationSnapshot {
    return Object.freeze({
      level: this.#level,
      name: this.#nameOf(this.#level),
      byHand: this.#byHand,
      byPressure: this.#byPressure,
      levelAgeMs: this.#clock.monotonicMs() - this.#changedAtMs,
      ...this.#actions.names(),
      activations: this.#activations,
      clearances: this.#clearances,
      failures: this.#failures,
    });
  }

  /** Undoes everything. Nothing changes any more. */
  close(): void {
    if (this.#over.signal.aborted) return;
    this.#byHand = 0;
    this.#byPressure = 0;
    if (this.#isChanging) {
      // By an action: what it is a part of must be applied before it can be undone.
      setImmediate(() => this.close());
      return;
    }
    this.#follow('closed');
    this.#actions.undoStuck();
    this.#over.abort();
  }

  #follow(reason: string): void {
    if (this.#over.signal.aborted) return;
    if (this.#isChanging) {
      // Asked for by an action while it runs (a collection that relieved the pressure, say): when the actions are done.
      setImmediate(() => this.#follow(reason));
      return;
    }
    const target = Math.max(this.#byHand, this.#options.automatic ? this.#byPressure : 0);
    this.#isChanging = true;
    try {
      if (target !== this.#level) this.#change(target, reason);
    } finally {
      this.#isChanging = false;
    }
    if (this.#actions.stuckCount > 0) void this.#retry();
  }

  #change(target: number, reason: string): void {
    const from = this.#level;
    const failuresBefore = this.#failures;
    for (const level of this.#levels.slice(from, target)) this.#actions.apply(level);
    for (const level of this.#levels.slice(target, from).reverse()) this.#actions.undo(level);
    this.#level = target;
    this.#changedAtMs = this.#clock.monotonicMs();
    const { metrics } = this.#parts;
    metrics?.setGauge(`${METRIC}.level`, target);
    if (target > from) {
      this.#activations += 1;
      metrics?.increment(`${METRIC}.activations_total`);
    } else if (target === 0) {
      this.#clearances += 1;
      metrics?.increment(`${METRIC}.clearances_total`);
    }
    this.#emit(changeReport(from, target, this.#nameOf(target), reason), {
      failed: this.#failures - failuresBefore,
      ...this.#actions.names(),
    });
  }

  /** Ends by itself once nothing is left to undo. Holds no process. */
  async #retry(): Promise<void> {
    if (this.#isRetrying) return;
    this.#isRetrying = true;
    let waitMs = this.#options.undoRetryMs;
    try {
      while (this.#actions.stuckCount > 0) {
        await this.#clock.sleep(waitMs, this.#over.signal);
        if (!this.#isChanging) this.#actions.undoStuck();
        waitMs = Math.min(this.#options.undoRetryCapMs, waitMs * 2);
      }
    } catch {
      // Closed meanwhile.
    } finally {
      this.#isRetrying = false;
    }
  }

  #levelOf(level: number | string): number {
    const { length } = this.#levels;
    if (typeof level === 'number') {
      return Math.min(length, Math.trunc(requireRange('GracefulDegradation', 'level', level, 0, 1e6)));
    }
    const at = this.#levels.findIndex(({ name }) => name === level);
    if (at === -1) {
      const known = this.#levels.map(({ name }) => name).join(', ');
      throw new OptionError(`GracefulDegradation: there is no level ${String(level)}; levels: ${known}`);
    }
    return at + 1;
  }

  #nameOf(level: number): string {
    return this.#levels[level - 1]?.name ?? '';
  }

  #tellFailure(action: string, step: 'apply' | 'undo', error: unknown): void {
    this.#failures += 1;
    this.#parts.metrics?.increment(`${METRIC}.failures_total`);
    const report = {
      severity: ErrorSeverity.ERROR_SEVERITY_ERROR,
      code: 'DEGRADATION_ACTION_FAILED',
      message: `${step} failed: ${action}`,
      error,
    };
    this.#emit(report, { action, step });
  }

  #emit(report: Omit<ErrorReport, 'component'>, context: Readonly<Record<string, unknown>>): void {
    const { errors, component = 'engine' } = this.#parts;
    errors.emit({ ...report, component, context: { ...report.context, ...context } });
  }
}

function changeReport(
  from: number,
  level: number,
  name: string,
  reason: string,
): Omit<ErrorReport, 'component'> {
  const context = { level, name, from, reason };
  if (level > from) {
    return {
      severity: ErrorSeverity.ERROR_SEVERITY_CRITICAL,
      code: 'DEGRADED_MODE_ACTIVATED',
      message: `degraded mode, level ${level} (${name}): ${reason}`,
      recoverable: true,
      context,
    };
  }
  const how = level === 0 ? 'everything as before' : `level ${level} (${name}) only`;
  return {
    severity: ErrorSeverity.ERROR_SEVERITY_INFO,
    code: level === 0 ? 'DEGRADED_MODE_CLEARED' : 'DEGRADED_MODE_LOWERED',
    message: `degraded mode: ${how}: ${reason}`,
    context,
  };
}

function checkLevels(levels: readonly DegradationLevel[]): readonly DegradationLevel[] {
  const copies = levels.map(({ name, actions }) => {
    requireNames(`level ${name}`, actions);
    return Object.freeze({ name, actions: Object.freeze([...actions]) });
  });
  requireNames('levels', copies);
  const all = copies.flatMap(({ actions }) => actions);
  if (new Set(all).size !== all.length) {
    throw new OptionError('GracefulDegradation: an action is in two places: it would be applied twice');
  }
  return Object.freeze(copies);
}

function requireNames(where: string, named: readonly { readonly name: string }[]): void {
  const names = named.map(({ name }) => name);
  const isText = names.every((name) => typeof name === 'string' && name !== '');
  if (!isText || new Set(names).size !== names.length) {
    throw new OptionError(`GracefulDegradation: ${where}: names must be texts and different`);
  }
}
