#!/usr/bin/env node
/**
 * docs/options.md: every option with its unit, default, range, environment variable and what happens at its limit, from
 * the option tables in src/ (src/core/option-table.ts), which also resolve the options. Writes the page; with `--check`
 * writes nothing and fails when the page is not what would be written, a table is not exported, or two have one title.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { tsImport } from 'tsx/esm/api';
import { givenRoot, listFiles, readSource, report, withoutComments } from './lib/source.mjs';

/**
 * @typedef {{
 *   unit: string, range: string, defaultText: string, env: string | undefined, atLimit: string, text: string,
 *   part: string | undefined,
 * }} Row
 * @typedef {{
 *   file: string, head: { owner: string, title: string, intro: string }, rows: Record<string, Row>,
 * }} Table
 */

const page = 'docs/options.md';
const made = /\boptionTable\s*\(/g;

/** By layer, as a newcomer meets them; a layer that is not named here comes last. */
const chapters = Object.entries({
  oona: 'The bus',
  pipeline: 'Pipelines',
  faults: 'Errors and degradation',
  core: 'Parts that several have',
});

const root = givenRoot();
/** @type {string[]} */
const findings = [];

/** The files that make tables, but the one that defines how. */
const files = listFiles(root, ['src'], ['.ts'])
  .filter((file) => file !== 'src/core/option-table.ts')
  .filter((file) => withoutComments(readSource(root, file)).search(made) !== -1);

/**
 * @param {unknown} value
 * @returns {value is Table}
 */
function isTable(value) {
  return typeof value === 'object' && value !== null && value.constructor.name === 'OptionTable';
}

/** @returns {Promise<Table[]>} */
async function readTables() {
  /** @type {Table[]} */
  const tables = [];
  for (const file of files) {
    /** @type {Record<string, unknown>} */
    const exported = await tsImport(pathToFileURL(join(root, file)).href, import.meta.url);
    const found = Object.values(exported).filter(isTable);
    const expected = withoutComments(readSource(root, file)).match(made)?.length ?? 0;
    if (found.length !== expected) {
      findings.push(`${file}: makes ${expected} option tables and exports ${found.length}`);
    }
    tables.push(...found.map(({ head, rows }) => ({ file, head, rows })));
  }
  const titles = tables.map(({ head }) => head.title);
  for (const title of new Set(titles.filter((each, at) => titles.indexOf(each) !== at))) {
    findings.push(`two option tables are called "${title}"`);
  }
  return tables.sort((a, b) => (a.head.title < b.head.title ? -1 : 1));
}

/** @param {string} text as a cell of a Markdown table */
const cell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** @param {string} title */
const link = (title) =>
  `[${title}](#${title
    .toLowerCase()
    .replace(/[^\w\s-]/g, '')
    .replace(/\s/g, '-')})`;

/** @param {Table} table */
const chapterOf = ({ file }) => chapters.find(([layer]) => file.startsWith(`src/${layer}/`))?.[1] ?? 'Others';

/**
 * Tables in the order of their titles, each followed by those that are options of it, and by those of its title and a
 * colon.
 *
 * @param {Table[]} tables
 * @returns {Table[]}
 */
function inOrder(tables) {
  /** @param {Table} table */
  const below = ({ head, rows }) => [
    ...Object.values(rows).flatMap(({ part }) => tables.filter((other) => other.head.title === part)),
    ...tables.filter((other) => other.head.title.startsWith(`${head.title}: `)),
  ];
  const inner = new Set(tables.flatMap(below));
  /** @type {Set<Table>} */
  const ordered = new Set();
  /** @param {Table} table */
  const add = (table) => {
    if (ordered.has(table)) return;
    ordered.add(table);
    below(table).forEach(add);
  };
  tables.filter((table) => !inner.has(table)).forEach(add);
  tables.forEach(add);
  return [...ordered];
}

/**
 * Whose option the options of a table are.
 *
 * @param {Table} table
 * @param {Table[]} tables
 */
function placeOf(table, tables) {
  const places = tables.flatMap(({ head, rows }) =>
    Object.entries(rows)
      .filter(([, { part }]) => part === table.head.title)
      .map(([name]) => `\`${name}\` of ${link(head.title)}`),
  );
  return places.length === 0 ? '' : `Option ${places.join(', ')}. `;
}

/**
 * @param {Table} table
 * @param {Table[]} tables
 */
function section(table, tables) {
  const { head, rows } = table;
  const hasEnv = Object.values(rows).some(({ env }) => env !== undefined);
  const titles = [
    'Option',
    'Unit',
    'Default',
    'Range',
    ...(hasEnv ? ['Environment'] : []),
    'Meaning',
    'At its limit',
  ];
  return [
    `### ${head.title}`,
    '',
    `${placeOf(table, tables)}${head.intro} Errors name them \`${head.owner}\`.`,
    '',
    `| ${titles.join(' | ')} |`,
    `|${'---|'.repeat(titles.length)}`,
    ...Object.entries(rows).map(([name, { unit, defaultText, range, env, text, atLimit }]) => {
      const variable = env === undefined ? '' : `\`${env}\``;
      const cells = [unit, defaultText, range, ...(hasEnv ? [variable] : []), text, atLimit];
      return `| \`${name}\` | ${cells.map(cell).join(' | ')} |`;
    }),
    '',
  ];
}

/** @param {Table[]} tables */
function render(tables) {
  const titles = [...new Set([...chapters.map(([, title]) => title), 'Others'])];
  const parts = titles
    .map((title) => ({ title, own: inOrder(tables.filter((table) => chapterOf(table) === title)) }))
    .filter(({ own }) => own.length > 0);
  return [
    '# Options',
    '',
    'Every option, with what happens when its limit is reached. All have a default but those that say "required". What',
    'is outside its range, of another type, or no option at all is refused with `ESPER_OPTION_INVALID` when it is given,',
    'never replaced by something else; `undefined` counts as not given. Where an option has an environment variable, the',
    'option comes first, then the variable, then the default; a blank variable is one that is not set. Names that end in',
    '`Ms` are milliseconds.',
    '',
    ...parts.map(
      ({ title, own }) => `- ${link(title)}: ${own.map(({ head }) => link(head.title)).join(', ')}`,
    ),
    '',
    'Generated by `npm run options` from the tables that resolve the options; `npm run lint` fails when it is out of date.',
    'Do not edit.',
    '',
    ...parts.flatMap(({ title, own }) => [
      `## ${title}`,
      '',
      ...own.flatMap((table) => section(table, tables)),
    ]),
  ].join('\n');
}

const tables = await readTables();
const text = render(tables);
if (process.argv.includes('--check')) {
  const current = listFiles(root, ['docs'], ['options.md']).includes(page) ? readSource(root, page) : '';
  if (current !== text) findings.push(`${page} is out of date: node scripts/options-doc.mjs`);
} else if (findings.length === 0) {
  writeFileSync(join(root, page), text);
}
const count = tables.reduce((sum, { rows }) => sum + Object.keys(rows).length, 0);
report('options-doc', findings, `${count} options in ${tables.length} tables`);
