/** How long streams stay deep: the seconds that count for and against the recovery objective. */
import { STREAM_ROLES, type StreamRole } from './observers.ts';
import type { Counts } from './slo-window.ts';

export interface DepthWatchOptions {
  readonly highDepth: number;
  /** A stream that was deep counts as recovered below `highDepth` times this. */
  readonly clearRatio: number;
  readonly recoveryMs: number;
  /** Depth of the stream, undefined while nobody measured it. */
  readonly depthOf: (role: StreamRole) => number | undefined;
}

export class DepthWatch {
  readonly #options: DepthWatchOptions;
  readonly #highSinceMs = new Map<StreamRole, number>();
  #goodS = 0;
  #badS = 0;
  #lastMs: number | undefined;
  #longestMs = 0;

  constructor(options: DepthWatchOptions) {
    this.#options = options;
  }

  tick(nowMs: number): void {
    const elapsedS = (nowMs - (this.#lastMs ?? nowMs)) / 1000;
    this.#lastMs = nowMs;
    this.#longestMs = 0;
    let known = false;
    for (const role of STREAM_ROLES) {
      // Dead letters wait for people.
      if (role === 'deadLetter') continue;
      const depth = this.#options.depthOf(role);
      if (depth === undefined) continue;
      known = true;
      this.#longestMs = Math.max(this.#longestMs, this.#highMs(role, depth, nowMs));
    }
    if (!known) return;
    if (this.#longestMs > this.#options.recoveryMs) this.#badS += elapsedS;
    else this.#goodS += elapsedS;
  }

  /** Seconds in which every stream was all right, and the others. */
  counts(): Counts {
    return { good: this.#goodS, bad: this.#badS };
  }

  /** For how long the worst stream has been deep by now, milliseconds; 0 when none is. */
  longestMs(): number {
    return this.#longestMs;
  }

  #highMs(role: StreamRole, depth: number, nowMs: number): number {
    const { highDepth, clearRatio } = this.#options;
    const since = this.#highSinceMs.get(role);
    if (since === undefined ? depth < highDepth : depth < highDepth * clearRatio) {
      this.#highSinceMs.delete(role);
      return 0;
    }
    if (since === undefined) this.#highSinceMs.set(role, nowMs);
    return nowMs - (since ?? nowMs);
  }
}
