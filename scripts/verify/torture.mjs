import { join } from 'node:path';
import { run, thousands, verifyDir } from './tools.mjs';

const program = join(verifyDir, 'verify_torture');
const kills = { short: 100, long: 10_000, perSecond: 100 };

/** @param {string} stdout */
function lastLine(stdout) {
  const line = stdout.trim().split('\n').at(-1) ?? '';
  if (!line.startsWith('{')) return undefined;
  return JSON.parse(line);
}

/** @type {import('./methods.mjs').Method} */
export const torture = {
  id: 'torture',
  title: 'many processes on one segment, SIGKILL and SIGSTOP at random moments',
  share: 12,
  targets: ['verify_torture'],
  async run({ seconds, short, log }) {
    const asked = short ? kills.short : Math.min(kills.long, Math.ceil(seconds * kills.perSecond));
    const seed = Math.floor(performance.timeOrigin) % 1_000_000;
    // A hang is told by the program itself after 30 s without progress, and it cleans up after an interruption.
    const limitS = short ? 60 : Math.max(60, Math.ceil(seconds * 2));
    const args = ['--kills', String(asked), '--seconds', String(limitS), '--seed', String(seed)];
    const { status, signal, stdout, stderr } = await run(program, args, { timeoutS: limitS + 90 });
    for (const line of stderr.trim().split('\n').slice(0, 40)) if (line !== '') log(line);
    const counts = lastLine(stdout);
    if (counts === undefined) throw new Error(`${program} ended with ${status ?? signal} and no result`);
    const ended = status === 0;
    const repeat = `${program} ${args.join(' ')}`;
    /**
     * @param {string} what
     * @param {string} count
     * @param {boolean} ok
     * @param {string} detail
     * @returns {import('./methods.mjs').Row}
     */
    const row = (what, count, ok, detail) => ({
      what,
      count,
      ok,
      ...(ok ? {} : { detail: `${detail}; ${repeat}` }),
    });
    return [
      row(
        'SIGKILL of writers',
        `${thousands(counts.kills)} kills, ${thousands(counts.inside)} of them inside an operation`,
        counts.kills >= asked && counts.inside > 0 && ended,
        `${asked} were asked for, some inside an operation; it ended with ${status ?? signal}`,
      ),
      row(
        'SIGSTOP of writers',
        `${thousands(counts.stops)} stops, ${thousands(counts.laps)} for longer than a lap`,
        counts.stops > 0 && (short || counts.laps > 0),
        'nobody was stopped, or not for long enough',
      ),
      row(
        'records read',
        `${thousands(counts.reads)} by all readers, of ${thousands(counts.triggers)} triggers, ${counts.torn} torn`,
        counts.torn === 0 && counts.reads > 0 && counts.triggers > 0 && ended,
        'a torn record was handed out, or none at all',
      ),
      row(
        'levels, records and histogram values',
        `${counts.lost} lost, ${counts.wrong} wrong, ${thousands(counts.repairs)} repaired, ${thousands(counts.values)} values`,
        counts.lost === 0 &&
          counts.wrong === 0 &&
          counts.values > 0 &&
          (short || counts.repairs > 0) &&
          ended,
        'something was lost, or nothing was there to lose',
      ),
      row('hangs', String(counts.hangs), counts.hangs === 0 && ended, 'a process made no progress for 30 s'),
    ];
  },
};
