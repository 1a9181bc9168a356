import { type Clock, systemClock } from '../../src/core/clock.ts';

export interface SteppedClock extends Clock {
  /** Moves the wall clock, milliseconds; the monotonic one goes on, as the kernel's does. */
  step(ms: number): void;
}

/** What `date -s` does to a host, seen by one process. */
export function steppedClock(): SteppedClock {
  let offsetMs = 0;
  return {
    ...systemClock,
    wallMs: () => systemClock.wallMs() + offsetMs,
    step: (ms) => {
      offsetMs += ms;
    },
  };
}
