import type { ConservativeMode } from './conservative-mode.ts';

/** Conservative mode: while it is on, messages below HIGH wait in this process and consumers of `normal` pause. */
export interface ConservativeSwitch {
  readonly active: boolean;
  /** Why: 'breaker', 'manual', 'slo:publish_latency:fast', 'slo:publish_stored:fast'; none while it is being left. */
  readonly reasons: readonly string[];
  /** Turns it on, until release(). */
  hold(): void;
  release(): void;
}

/** The mode as users of the bus have it: they hold and release for one reason only. */
export function conservativeSwitch(mode: ConservativeMode): ConservativeSwitch {
  return {
    get active() {
      return mode.active;
    },
    get reasons() {
      return mode.reasons;
    },
    hold: () => mode.hold('manual'),
    release: () => mode.release('manual'),
  };
}
