import { crashInjector } from './crash-injector.mjs';
import { faults } from './faults.mjs';
import { fuzz } from './fuzz.mjs';
import { models } from './models.mjs';
import { mutations } from './mutations.mjs';
import { sanitizers } from './sanitizers.mjs';
import { tmpfs } from './tmpfs.mjs';
import { torture } from './torture.mjs';

/**
 * The methods of `npm run verify:native`, in the order in which they run.
 *
 * @typedef {object} Row One line of the table.
 * @property {string} what What was looked at.
 * @property {string} count How much of it, with its unit: '12,345 states'.
 * @property {boolean} ok
 * @property {string} [detail] Why it failed, and how to repeat it.
 * @property {string} [method] Filled in by the caller.
 * @property {string} [tookS] Filled in by the caller.
 *
 * @typedef {object} Run
 * @property {number} seconds What this method may take.
 * @property {boolean} short The form that is part of npm test.
 * @property {(text: string) => void} log Progress, to standard error.
 *
 * @typedef {object} Method
 * @property {string} id
 * @property {string} title
 * @property {number} share Of the whole budget, against the other methods' shares.
 * @property {readonly string[]} [targets] CMake targets that it needs, built in the usual build folder.
 * @property {(run: Run) => Promise<Row[]>} run Throws when it could not be done at all.
 */

/** @type {readonly Method[]} */
export const methods = [models, crashInjector, torture, mutations, sanitizers, fuzz, faults, tmpfs];
