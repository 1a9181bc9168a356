import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Cleanup } from './cleanup.ts';

/** Every process of the benchmark signs with it; a benchmark has nothing to protect. */
export const BENCH_SECRET = 'bench-secret-of-no-value-0123456789';
/** Training run that all of the benchmark's emergencies belong to. */
export const BENCH_RUN_ID = 'bench-run';

const PROGRAM = fileURLToPath(new URL('../../src/cli/esper-weatherlight-service.ts', import.meta.url));
const START_TIMEOUT_MS = 20_000;

async function startedAndConnected(stdout: Readable, hostId: string): Promise<void> {
  const lines = createInterface({ input: stdout });
  const timer = setTimeout(() => lines.close(), START_TIMEOUT_MS);
  const missing = new Set(['start', 'bus']);
  for await (const line of lines) {
    const event = JSON.parse(line) as { type: string; state?: string };
    if (event.type === 'started') missing.delete('start');
    if (event.type === 'busState' && event.state === 'up') missing.delete('bus');
    if (missing.size === 0) break;
  }
  clearTimeout(timer);
  if (missing.size > 0) throw new Error(`Weatherlight of ${hostId}: no word of ${[...missing].join(', ')}`);
}

export interface WeatherlightProcess {
  stop(): Promise<void>;
}

/** One host's supervisor: the real service in a process of its own. Resolves once its bus is up. */
export async function startWeatherlight(
  host: { readonly hostId: string; readonly signalName: string; readonly redisUrl: string },
  cleanup: Cleanup,
): Promise<WeatherlightProcess> {
  const child = spawn(process.execPath, [...process.execArgv, PROGRAM, '--json-events'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      REDIS_URL: host.redisUrl,
      ESPER_LEYLINE_SECRET: BENCH_SECRET,
      ESPER_HOST_ID: host.hostId,
      ESPER_RUN_ID: BENCH_RUN_ID,
      TOLARIA_EMERGENCY_SIGNAL_NAME: host.signalName,
      ESP_LOG_LEVEL: 'error',
    },
  });
  const exited = once(child, 'exit');
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await exited;
  };
  cleanup.add(stop);
  await startedAndConnected(child.stdout, host.hostId);
  // Whatever it tells from here on must not fill the pipe.
  child.stdout.resume();
  return { stop };
}
