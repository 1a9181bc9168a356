import { join } from 'node:path';
import { projectRoot } from '../lib/source.mjs';
import { run, verifyDir } from './tools.mjs';

/** @typedef {import('./methods.mjs').Row} Row */

/** Sizes of /dev/shm, and how many flag segments of 236 KiB fit. */
const SIZES = [
  { size: '64k', fits: 0 },
  { size: '1m', fits: 4 },
];

/**
 * In a mount namespace of its own, so that nothing of the machine changes and all is gone when it ends.
 *
 * @param {string} size @param {readonly string[]} command
 */
function onTinyShm(size, command) {
  const script = `mount -t tmpfs -o size=${size},mode=1777 tmpfs /dev/shm && exec "$@"`;
  return run('unshare', ['-m', 'sh', '-c', script, 'sh', ...command], { timeoutS: 60 });
}

/** @param {{ stdout: string, stderr: string }} result */
const endOf = ({ stdout, stderr }) => `${stderr}\n${stdout}`.trim().split('\n').slice(-12).join('\n');

/** @param {{ size: string, fits: number }} shm @returns {Promise<Row>} */
async function inCore({ size, fits }) {
  const program = join(verifyDir, 'verify_tmpfs');
  const result = await onTinyShm(size, [program, '/dev/shm', String(fits)]);
  const what = `/dev/shm of ${size}: the core`;
  if (result.status !== 0) {
    const detail = `${program}: ${result.status ?? result.signal}\n${endOf(result)}`;
    return { what, count: '-', ok: false, detail };
  }
  const { created, refused, violations } = JSON.parse(result.stdout);
  const ok = created === fits && refused > 0 && violations === 0;
  return { what, count: `${created} segments work, ${refused} refused for want of space`, ok };
}

/** @param {{ size: string, fits: number }} shm @returns {Promise<Row>} */
async function inNode({ size, fits }) {
  const fixture = join(projectRoot, 'test', 'fixtures', 'faulted-open.ts');
  const command = [process.execPath, '--no-warnings', '--import', 'tsx', fixture, 'plain', String(fits + 2)];
  const result = await onTinyShm(size, command);
  const what = `/dev/shm of ${size}: openEmergencySignal`;
  if (result.status !== 0) return { what, count: '-', ok: false, detail: `${fixture}: ${endOf(result)}` };
  const { shared, local, codes } = JSON.parse(result.stdout);
  const ok = shared === fits && local === 2 && codes.join() === 'ESPER_SHM_NO_SPACE';
  const count = `${shared} shared, ${local} process-local with the reason`;
  return { what, count, ok, ...(ok ? {} : { detail: `reasons: ${codes.join()}` }) };
}

/** @type {import('./methods.mjs').Method} */
export const tmpfs = {
  id: 'tmpfs',
  title: 'a /dev/shm that is full: a named refusal, no SIGBUS, and what exists works on',
  share: 1,
  targets: ['verify_tmpfs'],
  async run({ short }) {
    const probe = await onTinyShm('64k', ['true']).catch((error) => ({
      status: -1,
      stdout: '',
      stderr: `${error}`,
    }));
    if (probe.status !== 0) {
      // Who is not root cannot mount; only the long form claims that everything was done. Root always can.
      const detail = `needs root and mount namespaces: ${endOf(probe)}`;
      const ok = short && process.getuid?.() !== 0;
      return [{ what: 'full /dev/shm', count: 'not done (no mount namespace)', ok, detail }];
    }
    /** @type {Row[]} */
    const rows = [];
    for (const shm of SIZES) rows.push(await inCore(shm), await inNode(shm));
    return rows;
  },
};
