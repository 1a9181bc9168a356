import { around, killed } from './mutations/around.mjs';
import { memory } from './mutations/memory.mjs';
import { orders } from './mutations/orders.mjs';
import { protocol } from './mutations/protocol.mjs';

/**
 * Mistakes put into a copy of native/core, one at a time: each must be caught by what is named, or that check is worth
 * nothing. `replace` changes the first place that `find` names, which must be there exactly once.
 *
 * Orders that are left out because nothing depends on them; the model finds no difference in 150,000 executions each:
 * the claim's compare-and-swap alone (the load before it acquires, and the payload's own release stores carry the
 * claim), next_ticket (nothing is read on its account), words[1] in apply (the state before it acquires), and the second
 * look at a state (the words copied before it, or the death seen through the kernel, have brought the view along).
 *
 * @typedef {object} Mutation
 * @property {string} what
 * @property {string} group
 * @property {string} file In native/core.
 * @property {readonly (readonly [string, string])[]} edits
 * @property {readonly string[]} by 'model' (modelled weak memory), 'torture', or a test of test/native.
 * @property {boolean} [short] Part of the short form.
 */

/** @type {readonly Mutation[]} */
export const mutations = [...orders, ...protocol, ...around, ...killed, ...memory];
