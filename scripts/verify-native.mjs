#!/usr/bin/env node
/** `npm run verify:native`: everything that is known to find mistakes in the native core, within a time budget. */
import { parseArgs } from 'node:util';
import { methods } from './verify/methods.mjs';
import { buildTargets, ensureTools } from './verify/tools.mjs';

const usage = `Usage: npm run verify:native -- [options]

Checks the native core by every method we have, and prints what each found and how much it looked at.

  --budget S    seconds for all of it together, builds not counted (default: 600)
  --short       the form that is part of npm test: a second or two a method, g++ only
  --only A,B    these methods
  --list        the methods, and what each does
  --json        end with one line {"verify":"native","ok":…,"rows":[…]}
  --help        this text

Ends 0 when every row is ok.`;

/** Seconds for all methods in the short form. */
const SHORT_BUDGET_S = 20;

/** @typedef {import('./verify/methods.mjs').Row} Row */

/** @param {string} text @returns {number} */
function readBudget(text) {
  const seconds = Number(text);
  if (!Number.isFinite(seconds) || seconds < 10)
    throw new Error(`--budget takes seconds, at least 10, got ${text}`);
  return seconds;
}

/** @param {string | undefined} only */
function chosen(only) {
  if (only === undefined) return methods;
  const ids = only.split(',');
  const unknown = ids.find((id) => !methods.some((method) => method.id === id));
  if (unknown !== undefined)
    throw new Error(`there is no method ${unknown}; known: ${methods.map(({ id }) => id).join(', ')}`);
  return methods.filter(({ id }) => ids.includes(id));
}

/** @param {readonly (readonly string[])[]} lines */
function printColumns(lines) {
  const widths = (lines[0] ?? []).map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  for (const line of lines)
    console.log(`  ${line.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ')}`.trimEnd());
}

/**
 * @param {import('./verify/methods.mjs').Method} method
 * @param {{ seconds: number, short: boolean }} how
 * @returns {Promise<Row[]>}
 */
async function runMethod(method, how) {
  const startedMs = performance.now();
  console.error(`verify: ${method.title}`);
  /** @type {Row[]} */
  let rows;
  try {
    await buildTargets(method.targets ?? []);
    rows = await method.run({ ...how, log: (text) => console.error(`verify:   ${text}`) });
    if (rows.length === 0) rows = [{ what: 'nothing was checked', count: '0', ok: false }];
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    rows = [{ what: 'the method itself', count: '-', ok: false, detail }];
  }
  const tookS = ((performance.now() - startedMs) / 1000).toFixed(1);
  return rows.map((row) => ({ ...row, method: method.id, tookS }));
}

async function main() {
  const { values } = parseArgs({
    options: {
      budget: { type: 'string', default: '600' },
      short: { type: 'boolean', default: false },
      only: { type: 'string' },
      list: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(usage);
  const wanted = chosen(values.only);
  if (values.list) return printColumns(wanted.map(({ id, title }) => [id, title]));
  const budget = values.short ? SHORT_BUDGET_S : readBudget(values.budget);
  const shares = wanted.reduce((sum, { share }) => sum + share, 0);
  ensureTools({ short: values.short });
  /** @type {Row[]} */
  const rows = [];
  for (const method of wanted) {
    const seconds = (budget * method.share) / shares;
    rows.push(...(await runMethod(method, { seconds, short: values.short })));
  }
  printColumns([
    ['method', 'what', 'count', '', 's'],
    ...rows.map((row) => [
      row.method ?? '',
      row.what,
      row.count,
      row.ok ? 'ok' : `FAILED ${row.detail ?? ''}`,
      row.tookS ?? '',
    ]),
  ]);
  const failed = rows.filter(({ ok }) => !ok).length;
  console.log(`${rows.length - failed} ok, ${failed} failed`);
  if (values.json) console.log(JSON.stringify({ verify: 'native', ok: failed === 0, rows }));
  process.exitCode = failed === 0 ? 0 : 1;
}

main().catch((error) => {
  console.error(`verify: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
});
