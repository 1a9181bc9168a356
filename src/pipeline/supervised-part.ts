import type { CircuitBreaker, Permit } from '../core/circuit-breaker.ts';
import type { Clock } from '../core/clock.ts';
import { errorMessage } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Random } from '../core/random.ts';
import { RestartPolicy } from '../core/restart-policy.ts';
import type { ErrorSink } from '../faults/error-event.ts';
import { ErrorSeverity } from '../leyline/messages.ts';
import { PipelineError } from './errors.ts';
import type { ResolvedRestartOptions } from './part-options.ts';
import { abortOf, within } from './within.ts';

export type PartState = 'idle' | 'starting' | 'running' | 'waiting' | 'givenUp' | 'stopping' | 'stopped';

export interface PartStats {
  readonly name: string;
  readonly state: PartState;
  readonly starts: number;
  readonly failures: number;
  /** Of the newest failure; '' when there was none. */
  readonly lastError: string;
}

/** What every part of an engine works with. */
export interface PartContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly errors: ErrorSink;
  readonly logger: Logger;
}

/** A box, as anything may be thrown: undefined is a failure too. */
export interface FirstFailure {
  readonly error: unknown;
}

export interface SupervisedPartParts {
  readonly kind: 'adapter' | 'emitter';
  readonly name: string;
  readonly options: ResolvedRestartOptions;
  readonly breaker: CircuitBreaker;
  readonly context: PartContext;
  /** True: the breaker counts a start as a success; false: the healthy run after it. */
  readonly succeedsAtStart: boolean;
  /** One run: its start. `fail` says that it broke down afterwards. */
  readonly start: (signal: AbortSignal, fail: (error: unknown) => void) => unknown;
  /** Called after every run that was begun, however it ended. */
  readonly stop: (signal: AbortSignal) => unknown;
}

const CODES = Object.freeze({
  adapter: { failed: 'ADAPTER_FAILED', open: 'ADAPTER_CIRCUIT_OPEN' },
  emitter: { failed: 'EMITTER_FAILED', open: 'EMITTER_CIRCUIT_OPEN' },
});

const { ERROR_SEVERITY_ERROR, ERROR_SEVERITY_CRITICAL } = ErrorSeverity;

/**
 * Something foreign that is started, runs and is stopped, and is started again when it failed: never sooner than its
 * back-off and its breaker allow, and no longer than its restart intensity.
 */
export class SupervisedPart {
  readonly #parts: SupervisedPartParts;
  readonly #policy: RestartPolicy;
  readonly #over = new AbortController();
  /** Nobody waits for it any more. */
  readonly #gone = new AbortController();
  #state: PartState = 'idle';
  #starts = 0;
  #failures = 0;
  #lastError = '';
  #ended: Promise<void> = Promise.resolve();
  #first: ((failure: FirstFailure | undefined) => void) | undefined;

  constructor(parts: SupervisedPartParts) {
    this.#parts = parts;
    this.#policy = new RestartPolicy(ruleOf(parts.options), parts.context.random);
    parts.breaker.onChange(({ to, openMs }) => {
      if (to === 'open') this.#reportOpen(openMs);
    });
  }

  get state(): PartState {
    return this.#state;
  }

  get component(): string {
    return `${this.#parts.kind}:${this.#parts.name}`;
  }

  /** Resolves when the first start has ended, with its failure if it failed; goes on by itself after that. */
  start(): Promise<FirstFailure | undefined> {
    const first = new Promise<FirstFailure | undefined>((resolve) => {
      this.#first = resolve;
    });
    this.#ended = this.#supervise();
    return first;
  }

  /** Ends it; resolves when its stop has ended. Rejects when that fails or takes too long. */
  async stop(signal: AbortSignal): Promise<void> {
    if (this.#state === 'idle' || this.#state === 'stopped') return;
    const wasUp = this.#state === 'running' || this.#state === 'starting';
    this.#state = 'stopping';
    this.#over.abort(new PipelineError('ESPER_PIPELINE_CLOSED', `${this.component} was stopped`));
    try {
      if (wasUp) await this.#stopRun(signal);
      await within(
        this.#parts.context.clock,
        this.#parts.options.stopTimeoutMs,
        this.component,
        () => this.#ended,
        signal,
      );
    } finally {
      this.#state = 'stopped';
      // Or a stop that hangs would hold the process for longer than the engine's deadline.
      this.#gone.abort();
    }
  }

  stats(): PartStats {
    return Object.freeze({
      ...{ name: this.#parts.name, state: this.#state },
      ...{ starts: this.#starts, failures: this.#failures, lastError: this.#lastError },
    });
  }

  async #supervise(): Promise<void> {
    const { clock } = this.#parts.context;
    while (!this.#over.signal.aborted) {
      const permit = this.#parts.breaker.enter();
      if (permit === 0) {
        await this.#wait(this.#parts.breaker.retryAfterMs() ?? this.#parts.options.restartCapMs);
        continue;
      }
      const startedAtMs = clock.monotonicMs();
      const error = await this.#run(permit);
      if (this.#over.signal.aborted) return;
      this.#failures += 1;
      this.#lastError = errorMessage(error);
      // In its own time, also when all is stopped meanwhile: stop() waits for this one, or there would be two at once.
      await this.#stopRun(this.#gone.signal).catch((thrown) => this.report(thrown, 'stop failed'));
      const nowMs = clock.monotonicMs();
      const delayMs = this.#policy.failed(nowMs, nowMs - startedAtMs);
      this.#failed(error, delayMs);
      // After the report of the failure, so that the order of events is that of causes.
      this.#parts.breaker.fail(permit);
      if (delayMs === undefined) return;
      await this.#wait(delayMs);
    }
  }

  /** Resolves with what ended it. */
  async #run(permit: Permit): Promise<unknown> {
    const { context, options, breaker, start, succeedsAtStart } = this.#parts;
    const { clock } = context;
    let broken!: (error: unknown) => void;
    const broke = new Promise<unknown>((resolve) => {
      broken = resolve;
    });
    this.#state = 'starting';
    this.#starts += 1;
    try {
      const work = (signal: AbortSignal) => start(signal, broken);
      await within(clock, options.startTimeoutMs, `${this.component}: start`, work, this.#over.signal);
    } catch (error) {
      if (!this.#over.signal.aborted) this.#state = 'waiting';
      this.#tellFirst({ error });
      return error;
    }
    if (!this.#over.signal.aborted) this.#state = 'running';
    this.#tellFirst(undefined);
    const ended = new AbortController();
    if (succeedsAtStart) breaker.succeed(permit);
    else void this.#succeedWhenHealthy(permit, ended.signal);
    const over = abortOf(this.#over.signal);
    const error = await Promise.race([broke, over.promise]);
    over.forget();
    ended.abort();
    // Down from here on: nothing is given to a part that is being stopped.
    if (!this.#over.signal.aborted) this.#state = 'waiting';
    return error;
  }

  async #succeedWhenHealthy(permit: Permit, ended: AbortSignal): Promise<void> {
    const { context, options, breaker } = this.#parts;
    await context.clock.sleep(options.healthyAfterMs, ended).catch(() => undefined);
    if (!ended.aborted) breaker.succeed(permit);
  }

  #tellFirst(failure: FirstFailure | undefined): void {
    this.#first?.(failure);
    this.#first = undefined;
  }

  async #wait(ms: number): Promise<void> {
    if (this.#over.signal.aborted) return;
    this.#state = 'waiting';
    await this.#parts.context.clock.sleep(ms, this.#over.signal).catch(() => undefined);
  }

  async #stopRun(parent: AbortSignal): Promise<void> {
    const { context, options, stop } = this.#parts;
    await within(context.clock, options.stopTimeoutMs, `${this.component}: stop`, stop, parent);
  }

  #failed(error: unknown, delayMs: number | undefined): void {
    if (delayMs !== undefined) {
      this.report(error, 'failed');
      return;
    }
    if (!this.#over.signal.aborted) this.#state = 'givenUp';
    this.report(error, 'failed too often and is given up', false);
  }

  /** Reports an error of this part under its code. */
  report(error: unknown, what: string, recoverable = true): void {
    const { kind, context } = this.#parts;
    const { component } = this;
    context.errors.emit({
      severity: recoverable ? ERROR_SEVERITY_ERROR : ERROR_SEVERITY_CRITICAL,
      ...{ code: CODES[kind].failed, component, error, recoverable },
      message: `${component} ${what}: ${errorMessage(error)}`,
      context: { failures: this.#failures, starts: this.#starts },
    });
  }

  #reportOpen(openMs: number): void {
    const { kind, context } = this.#parts;
    const { component } = this;
    context.errors.emit({
      severity: ERROR_SEVERITY_CRITICAL,
      ...{ code: CODES[kind].open, component, recoverable: true },
      message: `${component}: the circuit breaker opened for ${Math.round(openMs)} ms`,
      context: { open_ms: openMs, failures: this.#failures },
    });
  }
}

function ruleOf(options: ResolvedRestartOptions) {
  const { restartBaseMs: baseMs, restartCapMs: capMs, restartWindowMs: windowMs } = options;
  const { healthyAfterMs, maxRestarts } = options;
  return { baseMs, capMs, windowMs, healthyAfterMs, maxRestarts };
}
