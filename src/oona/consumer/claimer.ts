import { errorCode } from '../../core/errors.ts';
import type { ConsumerContext } from './context.ts';
import type { Intake } from './intake.ts';
import { Wakeup } from './wakeup.ts';

const FIRST_CURSOR = '0-0';

/** Takes over what nobody touched for a lease: its consumer died, hangs, or cannot reach the engine. */
export class Claimer {
  readonly #context: ConsumerContext;
  readonly #intake: Intake;
  readonly #room = new Wakeup();
  #cursor = FIRST_CURSOR;

  constructor(context: ConsumerContext, intake: Intake) {
    this.#context = context;
    this.#intake = intake;
  }

  /** There may be room now, or the loop is to end. */
  wake(): void {
    this.#room.wake();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { parts, options } = this.#context;
    while (!signal.aborted) {
      try {
        await this.#claimAll(signal);
      } catch (error) {
        const code = errorCode(error);
        if (signal.aborted || code === 'ESPER_OONA_CLOSED') return;
        this.#cursor = FIRST_CURSOR;
        this.#context.failed('claim', error);
      }
      // Consumers that began together would otherwise look at the same time for ever.
      const waitMs = options.claimIntervalMs * (0.75 + parts.random() / 2);
      await parts.clock.sleep(waitMs, signal).catch(() => undefined);
    }
  }

  /** Until the last page, empty ones in between or not. */
  async #claimAll(signal: AbortSignal): Promise<void> {
    const { parts, options, call } = this.#context;
    const { stream, group, consumer, leaseMs } = options;
    this.#intake.beginRecovery();
    do {
      while (!signal.aborted && this.#intake.recoveryRoom === 0) await this.#room.wait();
      if (signal.aborted) return;
      const count = this.#intake.recoveryRoom;
      const askedAtMs = this.#context.nowMs();
      const request = { stream, group, consumer, minIdleMs: leaseMs, cursor: this.#cursor, count };
      const page = await parts.transport.claim(request, call);
      this.#cursor = page.cursor;
      this.#intake.takeLost(page.lostIds, askedAtMs);
      this.#intake.takeRecovered(page.entries, askedAtMs);
    } while (this.#cursor !== FIRST_CURSOR);
  }
}
