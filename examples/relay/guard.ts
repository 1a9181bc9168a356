import type { Logger } from '../../src/core/logger.ts';
import type { Metrics } from '../../src/core/metrics.ts';
import { type ErrorHandler, logHandler, metricsHandler, shutdownHandler } from '../../src/faults/index.ts';
import { levelRank } from '../../src/faults/memory/level.ts';
import type { MemoryLevelChange, MemoryMonitor } from '../../src/faults/memory/types.ts';
import type { Uploads } from './uploads.ts';

/** Who hears of errors. */
export function errorHandlers(
  { logger, metrics }: { readonly logger: Logger; readonly metrics: Metrics },
  shutdown?: (reason: string) => void,
): readonly ErrorHandler[] {
  const handlers = [logHandler({ logger }), metricsHandler({ metrics })];
  if (shutdown === undefined) return handlers;
  const onFailure = (error: unknown): void => logger.error({ err: error }, 'the shutdown failed');
  return [...handlers, shutdownHandler({ shutdown, onFailure })];
}

const ERROR = levelRank('error');
const CRITICAL = levelRank('critical');

/**
 * Under pressure no body is begun, and those that are half read give way: they are what fills the memory, and the engine
 * hears of a payload only when all of it is here.
 */
export function guardUploads(memory: MemoryMonitor, uploads: Uploads): void {
  let open: (() => void) | undefined;
  memory.onLevel(({ level }: MemoryLevelChange) => {
    const rank = levelRank(level);
    if (rank < ERROR) {
      open?.();
      open = undefined;
      return;
    }
    const why = `memory pressure: ${level}`;
    open ??= uploads.close(why);
    uploads.callOff(rank < CRITICAL ? Math.floor(uploads.open / 2) : 0, why);
    memory.forceGc();
  });
}
