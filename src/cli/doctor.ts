import { statfsSync } from 'node:fs';
import { errorMessage } from '../core/errors.ts';
import { loadNative } from '../native/load.ts';
import { createRedisTransport } from '../oona/transport/redis.ts';
import { redisTlsFromEnvironment } from '../oona/transport/redis-tls.ts';
import { openEmergencySignal } from '../signals/emergency-signal.ts';
import { SettingsError } from '../weatherlight/errors.ts';
import { loadSettings } from '../weatherlight/settings.ts';
import { print, printJson, table } from './output.ts';
import { EXIT } from './target.ts';

export interface Finding {
  readonly check: string;
  /** 'warn': works, but not as it could. */
  readonly status: 'ok' | 'warn' | 'fail';
  readonly detail: string;
}

const MIN_NODE = [20, 19] as const;
/** What the prebuilt addon needs; an addon built here needs what is here. */
const MIN_GLIBC = [2, 28] as const;
/** A segment takes less; below it the next run may find no room. */
const MIN_SHM_BYTES = 4 * 1024 * 1024;
const REDIS_DEADLINE_MS = 3000;

function atLeast(version: string, minimum: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > minimum[0] || (major === minimum[0] && minor >= minimum[1]);
}

function checkNode(): Finding {
  const version = process.versions.node;
  const ok = atLeast(version, MIN_NODE);
  const detail = `${version} on ${process.platform} ${process.arch}, needs ${MIN_NODE.join('.')}`;
  return { check: 'node', status: ok ? 'ok' : 'fail', detail };
}

function glibcVersion(): string | undefined {
  const report: unknown = process.report?.getReport();
  const header: unknown =
    typeof report === 'object' && report !== null && 'header' in report ? report.header : undefined;
  if (typeof header !== 'object' || header === null || !('glibcVersionRuntime' in header)) return undefined;
  return typeof header.glibcVersionRuntime === 'string' ? header.glibcVersionRuntime : undefined;
}

function checkGlibc(): Finding {
  const version = glibcVersion();
  if (version === undefined)
    return {
      check: 'glibc',
      status: 'warn',
      detail: 'none (musl or not Linux): npx esper-fastpath build-native',
    };
  const ok = atLeast(version, MIN_GLIBC);
  return {
    check: 'glibc',
    status: ok ? 'ok' : 'warn',
    detail: `${version}, the prebuilt addon needs ${MIN_GLIBC.join('.')}`,
  };
}

function checkAddon(): Finding {
  const { source, module, error, passedOver } = loadNative();
  const reasons = (passedOver.length > 0 || error === undefined ? passedOver : [error]).map(
    ({ code, message }) => `${code}: ${message}`,
  );
  if (error !== undefined) return { check: 'addon', status: 'fail', detail: `twin; ${reasons.join('; ')}` };
  const detail = `from ${source}, interface ${module.abiMajor}.${module.abiMinor}`;
  if (reasons.length === 0) return { check: 'addon', status: 'ok', detail };
  return { check: 'addon', status: 'warn', detail: `${detail}; passed over: ${reasons.join('; ')}` };
}

/** Really creates a segment: what keeps that from working shows here and not in the training. */
function checkSharedMemory(): Finding {
  const signal = openEmergencySignal(`doctor-${process.pid}`, { keepAlive: false });
  try {
    if (signal.degraded === undefined) return { check: 'shared memory', status: 'ok', detail: signal.path };
    const { code, reason } = signal.degraded;
    return { check: 'shared memory', status: 'fail', detail: `process-local only: ${reason} (${code})` };
  } finally {
    signal.unlink();
    signal.close();
  }
}

function checkRoom(): Finding {
  const check = '/dev/shm';
  try {
    const { bavail, bsize } = statfsSync('/dev/shm');
    const free = bavail * bsize;
    const detail = `${Math.floor(free / 1024 / 1024)} MiB free`;
    return { check, status: free >= MIN_SHM_BYTES ? 'ok' : 'fail', detail };
  } catch (error) {
    return { check, status: 'fail', detail: errorMessage(error) };
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

function checkSettings(env: Environment): Finding {
  const check = 'settings';
  try {
    const settings = loadSettings(env);
    const detail = `run ${settings.runId}, host ${settings.hostId}, signal ${settings.signalName}`;
    return { check, status: 'ok', detail };
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    const missing = error.code === 'ESPER_WEATHERLIGHT_SETTING_MISSING';
    // Looking at a host from a shell without the service's secret is no fault of the host.
    return { check, status: missing ? 'warn' : 'fail', detail: error.message.replaceAll('\n', '; ') };
  }
}

async function checkRedis(env: Environment): Promise<Finding> {
  const check = 'redis';
  const url = env.REDIS_URL;
  if (url === undefined || url === '')
    return { check, status: 'ok', detail: 'REDIS_URL not set: embedded bus' };
  try {
    const tls = redisTlsFromEnvironment(env);
    const transport = createRedisTransport({ url, ...(tls && { tls }) });
    try {
      await transport.ping({ deadlineMs: REDIS_DEADLINE_MS });
      const startedMs = performance.now();
      await transport.ping({ deadlineMs: REDIS_DEADLINE_MS });
      return { check, status: 'ok', detail: `answers in ${(performance.now() - startedMs).toFixed(2)} ms` };
    } finally {
      await transport.close();
    }
  } catch (error) {
    return { check, status: 'fail', detail: errorMessage(error) };
  }
}

/** All checks; nothing is changed but a probe segment, which is removed again. */
export async function examine(env: Environment): Promise<Finding[]> {
  return [
    checkNode(),
    checkGlibc(),
    checkAddon(),
    checkSharedMemory(),
    checkRoom(),
    checkSettings(env),
    await checkRedis(env),
  ];
}

export async function doctor(env: Environment, options: { readonly json: boolean }): Promise<number> {
  const findings = await examine(env);
  const failed = findings.filter((finding) => finding.status === 'fail').length;
  if (options.json) printJson({ ok: failed === 0, findings });
  else
    print(
      table(
        ['check', 'status', 'detail'],
        findings.map((one) => [one.check, one.status, one.detail]),
      ),
    );
  return failed === 0 ? EXIT.done : EXIT.failed;
}
