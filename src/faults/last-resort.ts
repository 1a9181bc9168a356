import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';

const PAUSE_MS = 1000;

const toStderr = (level: string) => (fields: object, message: string) =>
  console.error(JSON.stringify({ level, ...fields, msg: message }));

/** One JSON object a line. console.error, unlike process.stderr, bears a reader that is gone. */
export const stderrLogger: Logger = Object.freeze({
  debug: toStderr('debug'),
  info: toStderr('info'),
  warn: toStderr('warn'),
  error: toStderr('error'),
});

/** Where trouble with telling trouble goes: at most a line a second, the others counted on the next. Never throws. */
export class LastResort {
  readonly #logger: Logger;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  #nextAtMs = Number.NEGATIVE_INFINITY;
  #unsaid = 0;

  constructor(logger: Logger, clock: Pick<Clock, 'monotonicMs'>) {
    this.#logger = logger;
    this.#clock = clock;
  }

  say(message: string, fields: Readonly<Record<string, string | number>>): void {
    try {
      const nowMs = this.#clock.monotonicMs();
      if (nowMs < this.#nextAtMs) {
        this.#unsaid += 1;
        return;
      }
      this.#nextAtMs = nowMs + PAUSE_MS;
      const unsaid = this.#unsaid;
      this.#unsaid = 0;
      this.#logger.error(unsaid === 0 ? fields : { ...fields, unsaid }, `error bus: ${message}`);
    } catch {
      // There is nowhere left to tell it; the counters of the bus have it.
    }
  }
}
