import { join } from 'node:path';
import { projectRoot } from '../lib/source.mjs';
import { buildFaultShim } from './shim.mjs';
import { run, thousands, verifyDir } from './tools.mjs';

/**
 * @typedef {{ name: string, injected: number, held: number, refused: number, broken: number }} Operation
 * @typedef {import('./methods.mjs').Row} Row
 */

/** What the core calls today; the shim knows some more. */
const CALLED = [
  ...[
    'open',
    'read',
    'pread',
    'fchmod',
    'posix_fallocate',
    'fstat',
    'stat',
    'lstat',
    'mmap',
    'link',
    'linkat',
  ],
  ...[
    'unlink',
    'flock',
    'access',
    'fcntl',
    'mq_open',
    'mq_send',
    'mq_unlink',
    'futex',
    'pthread_create',
    'getrandom',
  ],
];

/** Enough for all of it on a slow machine: it is finite, and half of it would prove half. */
const WHOLE_S = 180;

/** The last lines, which say what was found and how to repeat it. @param {string} text */
const endOf = (text) => text.trim().split('\n').slice(-12).join('\n');

/** @param {string} shim @param {{ seconds: number, short: boolean }} how @returns {Promise<Row[]>} */
async function core(shim, { seconds, short }) {
  const env = { ...process.env, LD_PRELOAD: shim, FAULT_SHIM_OBJECT: 'verify_faults' };
  const budget = short ? 'short' : String(Math.max(WHOLE_S, Math.floor(seconds)));
  const result = await run(join(verifyDir, 'verify_faults'), [budget], {
    env,
    timeoutS: Math.max(WHOLE_S, seconds) + 60,
  });
  if (result.status !== 0 && result.status !== 1) {
    const detail = `verify_faults ended with ${result.status ?? result.signal}: ${endOf(result.stderr)}`;
    return [{ what: 'the core', count: '0 injected failures', ok: false, detail }];
  }
  /** @type {{ finished: boolean, operations: Operation[], functions: Record<string, number> }} */
  const { finished, operations, functions } = JSON.parse(result.stdout);
  const rows = operations.map(({ name, injected, held, refused, broken }) => ({
    what: name,
    count: `${thousands(injected)} injected failures: ${thousands(held)} held, ${thousands(refused)} refused by name`,
    ok: broken === 0 && injected > 0,
    ...(broken > 0 ? { detail: endOf(result.stderr) } : {}),
  }));
  if (!finished) {
    const detail = 'the time was up: a larger --budget';
    return [...rows, { what: 'the core', count: 'cut short', ok: false, detail }];
  }
  const missed = CALLED.filter((name) => !(Number(functions[name]) > 0));
  const expected = result.status === 0 || rows.some(({ ok }) => !ok);
  const ok = missed.length === 0 && operations.length > 0 && expected;
  const count = `${CALLED.length - missed.length} of ${CALLED.length} failed at least once`;
  const detail = `never made to fail: ${missed.join(', ')}; it ended with ${result.status}`;
  return [...rows, { what: 'system calls of the core', count, ok, ...(ok ? {} : { detail }) }];
}

/** @param {string} shim @returns {Promise<Row>} */
async function throughNode(shim) {
  const env = { ...process.env, LD_PRELOAD: shim, FAULT_SHIM_OBJECT: '.node', NODE_NO_WARNINGS: '1' };
  const fixture = join(projectRoot, 'test', 'fixtures', 'faulted-open.ts');
  const { status, signal, stdout, stderr } = await run(process.execPath, ['--import', 'tsx', fixture], {
    env,
    timeoutS: 60,
  });
  const what = 'openEmergencySignal in Node';
  if (status !== 0) {
    const detail = `${fixture}: ${status ?? signal}\n${endOf(`${stderr}\n${stdout}`)}`;
    return { what, count: '0 injected failures', ok: false, detail };
  }
  const { injected, shared, local } = JSON.parse(stdout);
  const count = `${thousands(injected)} injected failures: ${shared} shared, ${local} process-local with a reason`;
  return { what, count, ok: injected > 0 && shared > 0 && local > 0 };
}

/** @type {import('./methods.mjs').Method} */
export const faults = {
  id: 'faults',
  title: 'every system call of the core made to fail in turn, once and for good',
  share: 2,
  targets: ['verify_faults'],
  async run({ seconds, short }) {
    const shim = await buildFaultShim();
    return [...(await core(shim, { seconds, short })), await throughNode(shim)];
  },
};
