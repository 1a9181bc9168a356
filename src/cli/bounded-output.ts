import type { Writable } from 'node:stream';

/** Lines that wait for whoever reads the pipe; a reader that stalls for longer misses some and is told how many. */
const MAX_WAITING_BYTES = 1024 * 1024;

export interface BoundedOutput {
  /** Writes a line, its line feed included; never blocks on a full pipe and never throws for one that is gone. */
  write(line: string): void;
  /** Lines dropped since the start. */
  readonly dropped: number;
}

/**
 * Output of a supervisor, which must not stop supervising because nobody reads it. `gapLine` makes the line that
 * stands where lines are missing, from their number.
 */
export function boundedOutput(stream: Writable, gapLine: (missing: number) => string): BoundedOutput {
  let dropped = 0;
  let missing = 0;
  // Whoever read it may be gone; the supervision goes on.
  stream.on('error', () => undefined);

  return {
    write(line) {
      if (stream.writableLength >= MAX_WAITING_BYTES) {
        dropped += 1;
        missing += 1;
        return;
      }
      if (missing > 0) stream.write(gapLine(missing));
      missing = 0;
      stream.write(line);
    },
    get dropped() {
      return dropped;
    },
  };
}
