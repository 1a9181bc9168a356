import { join } from 'node:path';
import { run, thousands, verifyDir } from './tools.mjs';

const program = join(verifyDir, 'verify_crash_injector');

/**
 * @typedef {object} Operation What the program says of one of them.
 * @property {string} name
 * @property {number} steps
 * @property {number} changes
 * @property {number} copies
 * @property {number} kills
 * @property {number} missed
 * @property {number} violations
 */

/** What must have been stepped through: one that is missing was not tried. */
const OPERATIONS = [
  ...['trigger', 'trigger-over', 'trigger-after', 'create', 'replace', 'acknowledge', 'clear', 'late-clear'],
  ...['record', 'claim', 'join', 'leave', 'phase', 'publish', 'repair'],
];

/** The last line is the result; what does not hold is told before it, to standard error. @param {string} stdout */
function lastLine(stdout) {
  const line = stdout.trim().split('\n').at(-1);
  if (line === undefined || !line.startsWith('{')) throw new Error(`no result from ${program}`);
  return JSON.parse(line);
}

/**
 * Nothing that was never tried counts as good.
 *
 * @param {Operation} operation
 * @param {boolean} stoppedEarly
 * @returns {string | undefined}
 */
function complaint(operation, stoppedEarly) {
  if (operation.violations > 0) return `${operation.violations} invariants broken`;
  if (operation.steps === 0 || operation.changes === 0) return 'nothing changed the segment';
  if (operation.copies === 0) return 'no copy was looked at';
  if (operation.missed > 0) return `${operation.missed} kills did not come where they were meant to`;
  if (operation.kills > 0) return undefined;
  return stoppedEarly ? 'no time was left for real kills' : 'nobody was killed';
}

/** @param {number} seconds @returns {Promise<import('./methods.mjs').Row>} */
async function selfTest(seconds) {
  const { status, stdout } = await run(program, ['--self-test'], { timeoutS: seconds + 60 });
  const { planted, found, missed } = lastLine(stdout).self_test;
  const ok = status === 0 && planted > 0 && found === planted;
  return {
    what: 'self-test: planted mistakes found',
    count: `${found} of ${planted}`,
    ok,
    ...(ok ? {} : { detail: `not found: ${missed.join(', ')}; it ended with ${status}` }),
  };
}

/** @type {import('./methods.mjs').Method} */
export const crashInjector = {
  id: 'crash-injector',
  title: 'crash at every instruction: stepped, checked on copies, and really killed',
  share: 1,
  targets: ['verify_crash_injector'],
  async run({ seconds, short, log }) {
    const args = ['--seconds', String(Math.max(1, Math.floor(seconds))), ...(short ? ['--short'] : [])];
    const { status, signal, stdout, stderr } = await run(program, args, { timeoutS: seconds + 120 });
    if (status !== 0 && status !== 1) {
      const end = stderr.trim().split('\n').slice(-10).join('\n');
      throw new Error(`${program} ended with ${status ?? signal}: ${end}`);
    }
    const result = lastLine(stdout);
    /** @type {import('./methods.mjs').Row[]} */
    const rows = result.operations.map((/** @type {Operation} */ operation) => {
      const { name, steps, changes, kills } = operation;
      const detail = complaint(operation, result.stopped_early);
      return {
        what: name,
        count: `${thousands(steps)} steps, ${thousands(changes)} changes, ${thousands(kills)} real kills`,
        ok: detail === undefined,
        ...(detail === undefined ? {} : { detail: `${detail}; ${program} --operation ${name}` }),
      };
    });
    const tried = new Set(rows.map(({ what }) => what));
    for (const what of OPERATIONS.filter((name) => !tried.has(name)))
      rows.push({ what, count: '0 steps', ok: false, detail: 'it was not tried' });
    if (status === 1 && rows.every(({ ok }) => ok))
      rows.push({ what: 'its own verdict', count: '-', ok: false, detail: `${program} ended with 1` });
    for (const line of stderr.trim().split('\n').slice(0, 20)) if (line !== '') log(line);
    if (result.stopped_early) log('some real kills were left out for lack of time');
    return [...rows, await selfTest(seconds)];
  },
};
