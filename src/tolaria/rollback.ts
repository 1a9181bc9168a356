import type { Clock } from '../core/clock.ts';
import { errorMessage } from '../core/errors.ts';
import type { RollbackSignal } from '../signals/types.ts';
import { refusePromise } from './callbacks.ts';
import { TolariaError } from './errors.ts';
import type { Snapshot } from './snapshots.ts';

export interface RestoreOptions<S> {
  readonly restore: (snapshot: S) => void;
  readonly rollbackSignal: RollbackSignal | undefined;
  readonly rollbackDeadlineMs: number;
  readonly runId: string;
  readonly clock: Clock;
  /** Told when the rollback signal fails: the restore goes on without its deadline. */
  readonly onSignalError: (error: unknown) => void;
}

export type RestoreResult =
  | { readonly outcome: 'restored'; readonly durationMs: number; readonly late: boolean }
  | { readonly outcome: 'failed'; readonly error: TolariaError };

/** Tier of a restore from the trainer's own memory; the other tier reads a checkpoint. */
const FAST_TIER = 1;

/**
 * Restores a snapshot under a deadline. The deadline is a native timer of the rollback signal: the restore blocks
 * the event loop, so nothing in JavaScript could tell anybody that it hangs. `requestId` names this rollback.
 */
export function runRestore<S>(
  snapshot: Snapshot<S>,
  request: { readonly requestId: string; readonly reason: string },
  options: RestoreOptions<S>,
): RestoreResult {
  const { clock } = options;
  const armed = arm(snapshot.step, request, options);
  const startedMs = clock.monotonicMs();
  try {
    refusePromise('restore', options.restore(snapshot.state));
  } catch (cause) {
    settle(armed, request.requestId, options);
    const message = `restore of step ${snapshot.step} failed: ${errorMessage(cause)}`;
    return { outcome: 'failed', error: new TolariaError('ESPER_TOLARIA_RESTORE_FAILED', message, { cause }) };
  }
  const durationMs = clock.monotonicMs() - startedMs;
  const settled = settle(armed, request.requestId, options);
  // On a starved host the timer's thread may not have run yet although the time is over.
  const late = !settled || (armed !== undefined && durationMs > options.rollbackDeadlineMs);
  return { outcome: 'restored', durationMs, late };
}

function arm<S>(
  step: number,
  request: { readonly requestId: string; readonly reason: string },
  options: RestoreOptions<S>,
): RollbackSignal | undefined {
  const { rollbackSignal, rollbackDeadlineMs: deadlineMs, runId, onSignalError } = options;
  try {
    rollbackSignal?.request({ ...request, step, tier: FAST_TIER, deadlineMs, origin: 'tolaria', runId });
    return rollbackSignal;
  } catch (error) {
    onSignalError(error);
    return undefined;
  }
}

/** False when the deadline had passed. */
function settle<S>(
  armed: RollbackSignal | undefined,
  requestId: string,
  options: RestoreOptions<S>,
): boolean {
  try {
    return armed?.settle(requestId) ?? true;
  } catch (error) {
    options.onSignalError(error);
    return true;
  }
}

/**
 * Rollbacks that a run may need within a time window, or one after the other without getting well in between, before
 * going on is no use. Steps that each take longer than the window would never spend it.
 */
export class RollbackBudget {
  readonly #max: number;
  readonly #windowMs: number;
  readonly #clock: Clock;
  #spentAtMs: number[] = [];
  #inARow = 0;

  constructor(max: number, windowMs: number, clock: Clock) {
    this.#max = max;
    this.#windowMs = windowMs;
    this.#clock = clock;
  }

  /** Takes one from the budget; false when it is spent. */
  spend(): boolean {
    const nowMs = this.#clock.monotonicMs();
    this.#spentAtMs = this.#spentAtMs.filter((atMs) => nowMs - atMs < this.#windowMs);
    if (this.#spentAtMs.length >= this.#max || this.#inARow >= this.#max) return false;
    this.#spentAtMs.push(nowMs);
    this.#inARow += 1;
    return true;
  }

  /** The run is well again. */
  recovered(): void {
    this.#inARow = 0;
  }
}
