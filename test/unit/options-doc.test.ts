import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const test = suite('options doc');

const projectDir = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const tables = `
  export class OptionTable { constructor(head, rows) { this.head = head; this.rows = rows; } }
  export const optionTable = (head, rows) => new OptionTable(head, rows);`;
const row = `{ unit: 'ms', range: '1 to 9', defaultText: '5', env: 'A_WAIT', atLimit: 'It | ends.', text: 'A wait.' }`;
const options = (title: string, exported = 'export ') => `
  import { optionTable } from '../core/option-table.ts';
  ${exported}const t = optionTable({ owner: 'a', title: '${title}', intro: 'Of a.' }, { waitMs: ${row} });`;

/** Runs the script over a project that consists of these files; writes the page first when asked. */
function run(files: Record<string, string>, { check = false, page = '' } = {}) {
  const root = mkdtempSync(join(tmpdir(), 'esper-options-'));
  try {
    for (const [path, text] of Object.entries({ 'package.json': '{"type":"module"}', ...files })) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    mkdirSync(join(root, 'docs'), { recursive: true });
    const file = join(root, 'docs', 'options.md');
    if (page !== '') writeFileSync(file, page);
    const args = [join(projectDir, 'scripts', 'options-doc.mjs'), root, ...(check ? ['--check'] : [])];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    return { status, stderr, page: check ? page : readFileSync(file, { encoding: 'utf8', flag: 'a+' }) };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

const project = { 'src/core/option-table.ts': tables, 'src/a/options.ts': options('Of A') };

test('[R-O1] the page has every option of every table, and --check accepts it and nothing else', () => {
  const { status, stderr, page } = run(project);
  assert.equal([status, stderr], [0, '']);
  assert.match(page, /^### Of A$/m);
  assert.ok(page.includes('| `waitMs` | ms | 5 | 1 to 9 | `A_WAIT` | A wait. | It \\| ends. |'), page);
  assert.is(run(project, { check: true, page }).status, 0);
  const stale = run(project, { check: true, page: page.replace('1 to 9', '1 to 8') });
  assert.is(stale.status, 1);
  assert.match(stale.stderr, /docs\/options\.md is out of date/);
  assert.is(run(project, { check: true }).status, 1, 'a page that is not there');
});

test('[R-O1] chapters by layer; parts follow the table they are options of, and say so', () => {
  const table = (title: string, rows = '') =>
    `export const t${title.length} = optionTable({ owner: 'a', title: '${title}', intro: 'Of a.' }, {${rows}});`;
  const inner = `in: { unit: '', range: 'x', defaultText: 'y', atLimit: '', text: 'T.', part: 'Zebra' }`;
  const begin = `import { optionTable } from '../core/option-table.ts';\n`;
  const { page } = run({
    'src/core/option-table.ts': tables,
    'src/core/a.ts': begin + table('Common'),
    'src/oona/b.ts': begin + table('Bus', inner) + table('Bus: more') + table('Yakety') + table('Zebra'),
  });
  const titles = [...page.matchAll(/^##+ (.*)$/gm)].map(([, title]) => title);
  assert.equal(titles, [
    'The bus',
    'Bus',
    'Zebra',
    'Bus: more',
    'Yakety',
    'Parts that several have',
    'Common',
  ]);
  assert.match(page, /^Option `in` of \[Bus\]\(#bus\)\. Of a\./m);
  assert.match(page, /^- \[The bus\]\(#the-bus\): \[Bus\]\(#bus\), \[Zebra\]/m);
  assert.not.match(page, 'Environment |', 'a column that nothing is in');
});

test('[R-O1] a table that nobody can read, and two of one title, are findings', () => {
  const hidden = run({ ...project, 'src/b/options.ts': options('Of B', '') });
  assert.is(hidden.status, 1);
  assert.match(hidden.stderr, /src\/b\/options\.ts: makes 1 option tables and exports 0/);
  const twice = run({ ...project, 'src/b/options.ts': options('Of A') });
  assert.is(twice.status, 1);
  assert.match(twice.stderr, /two option tables are called "Of A"/);
});

test.run();
