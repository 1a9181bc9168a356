/**
 * What the bus tells about trouble: at once, then with back-off, so that a flood of drops is no flood of events; and
 * each change of conservative mode.
 */
import type { Clock } from '../../core/clock.ts';
import { errorMessage } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import { ErrorSeverity } from '../../leyline/messages.ts';

export type PublishTrouble =
  | 'dropped'
  | 'rerouted'
  | 'cut-unread'
  | 'outbox-dropped'
  | 'outbox-saturated'
  | 'letters-cut';

/** The fields of an ErrorEvent, but for its id and time. */
export interface PublishErrorEvent {
  readonly severity: ErrorSeverity;
  readonly code:
    | 'EVENT_DROPPED'
    | 'BACK_PRESSURE_ACTIVE'
    | 'BUFFER_SATURATED'
    | 'DEGRADED_MODE_ACTIVATED'
    | 'DEGRADED_MODE_CLEARED';
  readonly type:
    | 'pipeline.error.event_dropped'
    | 'pipeline.error.publish_blocked'
    | 'pipeline.error.buffer_saturated'
    | 'pipeline.engine.degraded_mode_activated'
    | 'pipeline.engine.degraded_mode_cleared';
  readonly message: string;
  readonly component: string;
  /** How often it happened since the last event of this code and component. */
  readonly count: number;
  readonly context: Readonly<Record<string, string>>;
  readonly recoverable: boolean;
}

type Kind = Pick<PublishErrorEvent, 'severity' | 'code' | 'type' | 'message'>;

const DROPPED = {
  severity: ErrorSeverity.ERROR_SEVERITY_ERROR,
  code: 'EVENT_DROPPED',
  type: 'pipeline.error.event_dropped',
} as const;

const KINDS = Object.freeze({
  dropped: { ...DROPPED, message: 'dropped: the stream is too deep' },
  rerouted: {
    severity: ErrorSeverity.ERROR_SEVERITY_WARNING,
    code: 'BACK_PRESSURE_ACTIVE',
    type: 'pipeline.error.publish_blocked',
    message: 'rerouted to the emergency stream: the stream is deep',
  },
  'cut-unread': { ...DROPPED, message: 'cut by maxStreamLength before every group had acknowledged them' },
  'outbox-dropped': { ...DROPPED, message: 'dropped from the outbox' },
  'outbox-saturated': {
    severity: ErrorSeverity.ERROR_SEVERITY_WARNING,
    code: 'BUFFER_SATURATED',
    type: 'pipeline.error.buffer_saturated',
    message: 'the outbox is more than 80 % full',
  },
  'letters-cut': { ...DROPPED, message: 'cut from the dead letters, neither replayed nor purged' },
} satisfies Record<PublishTrouble, Kind>);

/** Severities as the error bus has them by code. */
const MODE_KINDS = Object.freeze({
  on: {
    severity: ErrorSeverity.ERROR_SEVERITY_CRITICAL,
    code: 'DEGRADED_MODE_ACTIVATED',
    type: 'pipeline.engine.degraded_mode_activated',
    message: 'messages below HIGH wait',
  },
  off: {
    severity: ErrorSeverity.ERROR_SEVERITY_INFO,
    code: 'DEGRADED_MODE_CLEARED',
    type: 'pipeline.engine.degraded_mode_cleared',
    message: 'nothing waits any more but what is in the outbox',
  },
} satisfies Record<string, Kind>);
const MODE = 'oona.conservative_mode';

/** First wait between two events of one trouble; doubled each time it goes on. */
const BASE_MS = 1000;
const CAP_MS = 60_000;

interface Pace {
  waitMs: number;
  nextAtMs: number;
  untold: number;
}

export class ErrorEvents {
  readonly #emit: ((event: PublishErrorEvent) => void) | undefined;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #logger: Logger;
  /** By trouble and component, which are few. */
  readonly #paces = new Map<string, Pace>();

  constructor(
    emit: ((event: PublishErrorEvent) => void) | undefined,
    clock: Pick<Clock, 'monotonicMs'>,
    logger: Logger,
  ) {
    this.#emit = emit;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** `count` more of it. Never throws. */
  raise(
    trouble: PublishTrouble,
    place: string,
    count: number,
    context: () => Readonly<Record<string, string>>,
  ): void {
    const nowMs = this.#clock.monotonicMs();
    const key = `${trouble} ${place}`;
    let pace = this.#paces.get(key);
    if (pace === undefined) {
      pace = { waitMs: BASE_MS / 2, nextAtMs: nowMs, untold: 0 };
      this.#paces.set(key, pace);
    }
    pace.untold += count;
    if (nowMs < pace.nextAtMs) return;
    // Quiet for as long again as it was waited: then this is a new trouble.
    const isNew = nowMs - pace.nextAtMs >= pace.waitMs;
    pace.waitMs = isNew ? BASE_MS : Math.min(CAP_MS, pace.waitMs * 2);
    pace.nextAtMs = nowMs + pace.waitMs;
    const { untold } = pace;
    pace.untold = 0;
    this.#tell(trouble, place, untold, context());
  }

  /** Conservative mode was entered or left: each change is told, for the mode has its dwell time. Never throws. */
  modeChanged(change: keyof typeof MODE_KINDS, context: Readonly<Record<string, string>>): void {
    const { message, ...kind } = MODE_KINDS[change];
    // The mode logs its changes itself.
    this.#send({
      ...kind,
      message: `${MODE}: ${message}`,
      component: MODE,
      count: 1,
      context,
      recoverable: true,
    });
  }

  #tell(
    trouble: PublishTrouble,
    place: string,
    count: number,
    context: Readonly<Record<string, string>>,
  ): void {
    const component = trouble === 'letters-cut' ? 'oona.dead_letters' : `oona.publish.${place}`;
    const { message, ...kind } = KINDS[trouble];
    const text = `${component}: ${count} ${message}`;
    this.#logger.warn({ code: kind.code, count, ...context }, text);
    this.#send({ ...kind, message: text, component, count, context, recoverable: true });
  }

  #send(event: PublishErrorEvent): void {
    try {
      this.#emit?.(Object.freeze(event));
    } catch (error) {
      this.#logger.error({ code: event.code }, `error event: listener threw: ${errorMessage(error)}`);
    }
  }
}
