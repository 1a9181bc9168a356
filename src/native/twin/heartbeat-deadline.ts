// Sets a timer of its own, as deadlines.ts does, in place of the native thread.
import { clearTimeout, setTimeout } from 'node:timers';
import { systemClock } from '../../core/clock.ts';

const TRAINING = 1;

/** Fires once each time a participant in the phase `training` has no heartbeat for the limit, if its loop is free. */
export class TwinHeartbeatDeadline {
  readonly #beats: BigUint64Array;
  readonly #words: Int32Array;
  readonly #limitMs: number;
  readonly #fire: (dueNs: bigint) => void;
  #told = 0n;
  #timer: NodeJS.Timeout | undefined;

  constructor(pulse: ArrayBuffer, limitMs: number, fire: (dueNs: bigint) => void) {
    this.#beats = new BigUint64Array(pulse);
    this.#words = new Int32Array(pulse);
    this.#limitMs = limitMs;
    this.#fire = fire;
    this.#look();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #look(): void {
    const heartbeatNs = this.#beats[0] ?? 0n;
    let waitMs = this.#limitMs;
    if (this.#words[2] === TRAINING && heartbeatNs !== this.#told) {
      const dueNs = heartbeatNs + BigInt(this.#limitMs) * 1_000_000n;
      const leftMs = Number(dueNs - systemClock.monotonicNs()) / 1e6;
      if (leftMs > 0) waitMs = leftMs;
      else {
        this.#told = heartbeatNs;
        this.#fire(dueNs);
      }
    }
    this.#timer = setTimeout(() => this.#look(), Math.ceil(waitMs));
    this.#timer.unref();
  }
}
