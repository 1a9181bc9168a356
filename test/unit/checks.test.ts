import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const projectDir = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Runs one check of scripts/ over a project that consists of these files. */
function runCheck(script: string, files: Record<string, string>, ...options: string[]) {
  const root = mkdtempSync(join(tmpdir(), 'esper-check-'));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    const args = [join(projectDir, 'scripts', `${script}.mjs`), root, ...options];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    return { status, stdout, stderr, page: readPage(root) };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function readPage(root: string): string {
  try {
    return readFileSync(join(root, 'docs', 'traceability.md'), 'utf8');
  } catch {
    return '';
  }
}

const proto = `
  enum EmergencyLevel { EMERGENCY_LEVEL_UNSPECIFIED = 0; EMERGENCY_LEVEL_NOTICE = 1; EMERGENCY_LEVEL_ELEVATED = 2;
    EMERGENCY_LEVEL_CONSERVATIVE = 3; EMERGENCY_LEVEL_HALT = 4; }
  enum TelemetryLevel { TELEMETRY_LEVEL_UNSPECIFIED = 0; TELEMETRY_LEVEL_INFO = 1; TELEMETRY_LEVEL_WARNING = 2;
    TELEMETRY_LEVEL_ERROR = 3; TELEMETRY_LEVEL_CRITICAL = 4; }`;
const levels = `kLevelNotice = 1; kLevelElevated = 2; kLevelConservative = 3; kLevelHalt = 4;`;

function runEnums(source: string, native = levels) {
  return runCheck('check-enums', {
    'proto/a.proto': proto,
    'native/core/levels.h': native,
    'src/core/a.ts': source,
  });
}

const test = suite('project checks');

const mirrors: Record<string, string> = {
  'an object literal': 'export const Level = { NOTICE: 1, ELEVATED: 2, HALT: 4 } as const;',
  'an object literal in camel case': "export const level = { notice: 1, 'halt': 4 };",
  'full names with other numbers': 'const L = { EMERGENCY_LEVEL_NOTICE: 7, EMERGENCY_LEVEL_HALT: 9 };',
  'a group of constants': 'const LEVEL_NOTICE = 1;\nconst LEVEL_HALT = 4;',
  'a map from numbers to names': "const names = { 1: 'notice', 4: 'halt' };",
  'entries of a Map': "const names = new Map([[1, 'notice'], [4, 'halt']]);",
  'an array of names': "const names = ['', 'notice', 'elevated', 'conservative', 'halt'];",
};
for (const [what, source] of Object.entries(mirrors)) {
  test(`[R-F2] a local mirror of a Leyline enum is found: ${what}`, () => {
    const { status, stderr } = runEnums(source);
    assert.is(status, 1);
    assert.match(stderr, /src\/core\/a\.ts:1: re-states EmergencyLevel \(EMERGENCY_LEVEL_NOTICE/);
  });
}

test('[R-F2] what only looks like an enum is let through', () => {
  const source = `
    const thresholds = { warning: 85, error: 90, critical: 95 };
    const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];
    const respondMs = { [EmergencyLevel.EMERGENCY_LEVEL_NOTICE]: 5000, [EmergencyLevel.EMERGENCY_LEVEL_HALT]: 100 };
    // notice: 1, halt: 4
    const one = { halt: 4 };`;
  const { status, stderr } = runEnums(source);
  assert.is(stderr, '');
  assert.is(status, 0);
});

test('[R-F2] a native level that differs from the contract, or is missing, is found', () => {
  const { stderr } = runEnums('', 'kLevelNotice = 1; kLevelElevated = 2; kLevelConservative = 5;');
  assert.match(stderr, 'EMERGENCY_LEVEL_CONSERVATIVE = 3 is 5');
  assert.match(stderr, 'EMERGENCY_LEVEL_HALT = 4 is missing');
});

test('imports against the order of the layers are found, types and dynamic ones too', () => {
  const { status, stderr } = runCheck('check-layers', {
    'src/core/a.ts': "import type { X } from '../oona/x.ts';",
    'src/oona/x.ts': "import { a } from '../core/a.ts';\nconst b = await import('../tolaria/t.ts');",
    'src/tolaria/t.ts': "// import '../cli/c.ts'\nexport * from './u.ts';",
    'src/urza/u.ts': "export { t } from '../tolaria/t.ts';",
    'src/stray/s.ts': '',
  });
  assert.is(status, 1);
  assert.match(stderr, "src/core/a.ts:1: imports ../oona/x.ts: 'oona' is right of 'core'");
  assert.match(stderr, "src/oona/x.ts:2: imports ../tolaria/t.ts: 'tolaria' is right of 'oona'");
  assert.match(stderr, "src/urza/u.ts:1: imports ../tolaria/t.ts: 'urza' and 'tolaria' are siblings");
  assert.match(stderr, 'src/tolaria/t.ts:2: export *');
  assert.match(stderr, "src/stray/s.ts: 'stray' is not a known layer");
  assert.is(stderr.trim().split('\n').length, 5);
});

test('an acquire without its release is found', () => {
  const one = '// PAIRS-WITH(flag.apply): why\n// PAIRS-WITH(ring.claim): why';
  const { status, stderr } = runCheck('check-sync-pairs', {
    'native/core/a.h': one,
    'native/core/b.cc': '// PAIRS-WITH(flag.apply): why',
  });
  assert.is(status, 1);
  assert.is(stderr, 'check-sync-pairs: native/core/a.h:2: PAIRS-WITH(ring.claim) has no other end\n');
});

test('a file of more than 300 lines is found', () => {
  const { stderr } = runCheck('check-sizes', {
    'src/core/long.ts': '\n'.repeat(301),
    'src/core/short.ts': '\n'.repeat(300),
    'src/leyline/generated/leyline.js': '\n'.repeat(9000),
  });
  assert.match(stderr, 'src/core/long.ts: 301 lines');
  assert.not.match(stderr, /short|generated/);
});

test('error codes without a row, rows without a code, and codes put together are found', () => {
  const { status, stderr } = runCheck('check-errors', {
    'docs/errors.md': '| `ESPER_A_KNOWN` | x |\n| `ESPER_A_GONE` | x |\n',
    'src/core/a.ts': `fail('ESPER_A_KNOWN'); fail('ESPER_A_NEW'); fail(\`ESPER_A_\${what}\`); env['ESPER_HOST_ID'];`,
    'native/core/a.cc': 'return "ESPER_N_NEW";',
  });
  assert.is(status, 1);
  assert.match(stderr, 'ESPER_A_NEW has no row');
  assert.match(stderr, 'ESPER_N_NEW has no row');
  assert.match(stderr, 'docs/errors.md: ESPER_A_GONE is not in');
  assert.match(stderr, "'ESPER_A_…' is put together");
  assert.is(stderr.trim().split('\n').length, 4);
});

test('time and randomness that are not injected are found', () => {
  const { stderr } = runCheck('check-ambient', {
    'src/core/a.ts': 'const t = Date.now();\nsetTimeout(f, 1); clock.setTimeout(f, 1); // Math.random()',
    'src/core/clock.ts': 'Date.now();',
  });
  const lines = stderr.trim().split('\n');
  assert.is(lines.length, 2);
  assert.match(stderr, 'src/core/a.ts:1: Date.now');
  assert.match(stderr, 'src/core/a.ts:2: setTimeout');
});

test('requirements without a test, tags that name none, and an old page are found', () => {
  const tagged = (tag: string) => `test('[${tag}] says so', () => {});\n`;
  const files = {
    'test/unit/a.test.ts': `${tagged('R-F3][R-B7')}${tagged('R-F99')}test.skip('[R-F4] not yet');\n`,
    'docs/other.md': '',
    'test/native/b.cc': '// [R-B1] wakes without polling\n',
  };
  const { status, stderr } = runCheck('traceability', files, '--check');
  assert.is(status, 1);
  assert.match(stderr, 'test/unit/a.test.ts:2: [R-F99] names no known requirement');
  assert.match(stderr, /R-F4 has no test/);
  assert.match(stderr, 'docs/traceability.md is out of date');
  assert.not.match(stderr, /R-(?:F3|B7|B1) has no test/);
  const { page } = runCheck('traceability', files);
  assert.match(page, /\| R-B7 \| .* \| `test\/unit\/a\.test\.ts`: says so \|/);
  assert.match(page, /\| R-B1 \| .* \| `test\/native\/b\.cc`: wakes without polling \|/);
});

test.run();
