import type { Clock } from '../core/clock.ts';
import { errorMessage } from '../core/errors.ts';
import type { ErrorReport, ErrorSink } from '../faults/error-event.ts';
import { ErrorSeverity } from '../leyline/messages.ts';

export type Trouble = 'saturated' | 'blocked' | 'dropped' | 'failed';

type Story = Pick<ErrorReport, 'severity' | 'code' | 'type'> & { readonly tells: string };

const STORIES: Readonly<Record<Trouble, Story>> = Object.freeze({
  saturated: {
    severity: ErrorSeverity.ERROR_SEVERITY_WARNING,
    code: 'BUFFER_SATURATED',
    type: 'pipeline.error.buffer_saturated',
    tells: 'the buffer is nearly full',
  },
  blocked: {
    severity: ErrorSeverity.ERROR_SEVERITY_INFO,
    code: 'BACK_PRESSURE_ACTIVE',
    type: 'pipeline.error.publish_blocked',
    tells: 'a publisher waits for room',
  },
  dropped: {
    severity: ErrorSeverity.ERROR_SEVERITY_ERROR,
    code: 'EVENT_DROPPED',
    type: 'pipeline.error.event_dropped',
    tells: 'an event was dropped',
  },
  failed: {
    severity: ErrorSeverity.ERROR_SEVERITY_ERROR,
    code: 'SUBSCRIBER_FAILED',
    type: 'pipeline.engine.subscriber_failed',
    tells: 'the handler failed',
  },
});

/** Of one kind of trouble, within one interval. */
interface Tally {
  muted: boolean;
  count: number;
  detail: string;
  error: unknown;
}

export interface PressureReportParts {
  readonly component: string;
  readonly errors: ErrorSink;
  readonly clock: Clock;
  readonly intervalMs: number;
  /** Buffer levels for the context. */
  readonly levels: () => Readonly<Record<string, number>>;
  readonly stop: AbortSignal;
}

/** Tells a trouble at once, then once an interval how often it came again: a flood of drops is one line a second. */
export class PressureReports {
  readonly #parts: PressureReportParts;
  readonly #tallies = new Map<Trouble, Tally>();
  #isTicking = false;

  constructor(parts: PressureReportParts) {
    this.#parts = parts;
  }

  note(trouble: Trouble, detail = '', error?: unknown): void {
    let tally = this.#tallies.get(trouble);
    if (tally === undefined) {
      tally = { muted: false, count: 0, detail: '', error: undefined };
      this.#tallies.set(trouble, tally);
    }
    tally.count += 1;
    if (tally.muted) {
      // The newest is the one that is told later.
      tally.detail = detail;
      tally.error = error;
      return;
    }
    tally.detail = detail;
    tally.error = error;
    this.#tell(trouble, tally);
    if (!this.#isTicking) void this.#tick();
  }

  /** What was counted and not told yet is told now. */
  flush(): void {
    for (const [trouble, tally] of this.#tallies) if (tally.count > 0) this.#tell(trouble, tally);
  }

  #tell(trouble: Trouble, tally: Tally): void {
    const { component, errors, levels } = this.#parts;
    const { tells, ...story } = STORIES[trouble];
    const { count, detail, error } = tally;
    const cause = error === undefined ? detail : errorMessage(error);
    const times = count === 1 ? '' : ` (${count} times)`;
    tally.muted = true;
    tally.count = 0;
    tally.error = undefined;
    errors.emit({
      ...story,
      message: `${component}: ${tells}${times}${cause === '' ? '' : `: ${cause}`}`,
      component,
      context: { ...levels(), count, ...(detail === '' ? {} : { reason: detail }) },
      recoverable: true,
      ...(error === undefined ? {} : { error }),
    });
  }

  /** Runs while something was told within the last interval; no timer when all is well. */
  async #tick(): Promise<void> {
    const { clock, intervalMs, stop } = this.#parts;
    this.#isTicking = true;
    while (!stop.aborted) {
      await clock.sleep(intervalMs, stop).catch(() => undefined);
      let told = false;
      for (const [trouble, tally] of this.#tallies) {
        if (tally.count > 0) {
          this.#tell(trouble, tally);
          told = true;
        } else {
          tally.muted = false;
        }
      }
      if (!told) break;
    }
    this.#isTicking = false;
  }
}

/** Undefined where nobody is to be told. */
export function openReports(
  errors: ErrorSink | undefined,
  parts: Omit<PressureReportParts, 'errors'>,
): PressureReports | undefined {
  return errors === undefined ? undefined : new PressureReports({ ...parts, errors });
}

/** Tells whoever asked for a subscriber's failures, else the error sink. What `onFailure` throws is one more of them. */
export function tellFailure(
  onFailure: ((error: unknown) => void) | undefined,
  reports: PressureReports | undefined,
  outcome: string,
  error: unknown,
): void {
  if (onFailure === undefined) {
    reports?.note('failed', outcome, error);
    return;
  }
  try {
    onFailure(error);
  } catch (thrown) {
    reports?.note('failed', 'onFailure threw', thrown);
  }
}
