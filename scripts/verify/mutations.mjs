import { mutations as list } from '../../native/verify/mutations.mjs';
import { buildCatcher, readCore, removeOld } from './mutation-build.mjs';
import { run, thousands } from './tools.mjs';

/**
 * @typedef {import('../../native/verify/mutations.mjs').Mutation} Mutation
 * @typedef {import('./methods.mjs').Row} Row
 * @typedef {Map<string, string>} Sources
 */

/** Executions of the model: without a mistake, and at most with one (most show within some hundreds). */
const executions = { short: 20_000, long: 300_000, mutated: 150_000 };
/** Whatever takes longer has found nothing: a check that hangs or is only slow is no catch. */
const patienceS = 40;

/** @param {Sources} core @param {Mutation} mutation @returns {Sources} */
function mutated(core, mutation) {
  const before = core.get(mutation.file);
  if (before === undefined) throw new Error(`there is no native/core/${mutation.file}`);
  let text = before;
  for (const [find, replace] of mutation.edits) {
    const found = text.split(find).length - 1;
    // A mistake that is not made is not caught either: whoever changes the core changes the list.
    if (found !== 1)
      throw new Error(`'${mutation.what}': ${found} places in ${mutation.file} read '${find}'`);
    text = text.replace(find, () => replace);
  }
  return new Map(core).set(mutation.file, text);
}

/** @param {string} catcher @param {number} amount Of the model. @returns {string[]} */
function argumentsOf(catcher, amount) {
  if (catcher === 'model') return ['--executions', String(amount)];
  return catcher === 'torture' ? ['--kills', '1500', '--seconds', '30'] : [];
}

/**
 * @param {string} catcher
 * @param {Sources} core
 * @param {number} amount
 * @returns {Promise<{ ok: boolean, hung: boolean, output: string, text: string }>}
 */
async function ask(catcher, core, amount) {
  const program = await buildCatcher(catcher, core);
  const args = argumentsOf(catcher, amount);
  const { status, signal, stdout, stderr } = await run(program, args, { timeoutS: patienceS });
  if (status === 2) throw new Error(`${catcher} could not be run: ${stderr.trim()}`);
  const text = signal === null ? (stderr.trim().split('\n')[0] ?? '') : 'does not come to an end';
  return { ok: status === 0, hung: signal === 'SIGKILL', output: stdout, text };
}

/**
 * Whether anything that ought to catch the mistake does.
 *
 * @param {Sources} core
 * @param {Mutation} mutation
 * @param {number} amount Of the model.
 * @param {(text: string) => void} log
 */
async function isCaught(core, mutation, amount, log) {
  const copy = mutated(core, mutation);
  for (const catcher of mutation.by) {
    const { ok, hung, text } = await ask(catcher, copy, amount);
    if (ok || hung) continue;
    log(`caught by ${catcher}: ${mutation.what}: ${text}`);
    return true;
  }
  log(`NOT caught by ${mutation.by.join(', ')}: ${mutation.what}`);
  return false;
}

/**
 * The core as it is must pass whatever is to catch a mistake in it.
 *
 * @param {Sources} core
 * @param {readonly string[]} catchers
 * @param {number} amount
 * @returns {Promise<Row[]>}
 */
async function unmutated(core, catchers, amount) {
  /** @type {Row[]} */
  const rows = [];
  /** @type {string[]} */
  const failed = [];
  for (const catcher of catchers) {
    const { ok, output, text } = await ask(catcher, core, amount);
    if (!ok) failed.push(`${catcher}: ${text}`);
    if (catcher !== 'model') continue;
    const { executions: done, steps } = JSON.parse(output.trim().split('\n').at(-1) ?? '{}');
    rows.push({
      what: 'the core on modelled weak memory, writers dying',
      count: `${thousands(done)} executions, ${thousands(steps ?? 0)} steps`,
      ok,
      ...(ok ? {} : { detail: text }),
    });
  }
  rows.push({
    what: 'without a mistake all of them pass',
    count: `${catchers.length - failed.length} of ${catchers.length} checks`,
    ok: failed.length === 0,
    ...(failed.length === 0 ? {} : { detail: failed.join('; ') }),
  });
  return rows;
}

/**
 * Two at a time, each with its own copy.
 *
 * @param {readonly Mutation[]} wanted
 * @param {(mutation: Mutation) => Promise<boolean>} check
 * @returns {Promise<Map<Mutation, boolean>>}
 */
async function checkAll(wanted, check) {
  /** @type {Map<Mutation, boolean>} */
  const results = new Map();
  const queue = [...wanted];
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      results.set(next, await check(next));
    }
  };
  await Promise.all([worker(), worker()]);
  return results;
}

/** @type {import('./methods.mjs').Method} */
export const mutations = {
  id: 'mutations',
  title: 'mistakes put into copies of the core, one at a time: each must be caught',
  share: 3,
  async run({ seconds, short, log }) {
    removeOld();
    const core = readCore();
    const wanted = list.filter((mutation) => !short || mutation.short === true);
    const catchers = [...new Set(wanted.flatMap(({ by }) => by))];
    const rows = await unmutated(core, catchers, short ? executions.short : executions.long);
    const untilMs = performance.now() + seconds * 1000;
    let leftOut = 0;
    const results = await checkAll(wanted, async (mutation) => {
      // Well over the budget something is wrong; those that were not tried count as not caught.
      if (!short && performance.now() > untilMs + 300_000) {
        leftOut += 1;
        return false;
      }
      // As many as pass without a mistake: a machine too slow for more must not look like a catch.
      return isCaught(
        core,
        mutation,
        short ? executions.short : executions.mutated,
        short ? () => undefined : log,
      );
    });
    for (const group of new Set(wanted.map((mutation) => mutation.group))) {
      const members = wanted.filter((mutation) => mutation.group === group);
      const survivors = members.filter((mutation) => results.get(mutation) !== true);
      rows.push({
        what: `mistakes: ${group}`,
        count: `${members.length - survivors.length} of ${members.length} caught`,
        ok: survivors.length === 0,
        ...(survivors.length === 0 ? {} : { detail: survivors.map(({ what }) => what).join('; ') }),
      });
    }
    if (leftOut > 0) log(`${leftOut} mistakes were not tried for lack of time`);
    return rows;
  },
};
