import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const project = fileURLToPath(new URL('../../..', import.meta.url));
const copy = mkdtempSync(join(tmpdir(), 'leyline-generate-'));
const generated = join(copy, 'src/leyline/generated');
const outputs = ['leyline.d.ts', 'leyline.js', 'leyline.stamp'];

const test = suite('leyline generation');

test.before(() => {
  for (const dir of ['proto', 'scripts']) cpSync(join(project, dir), join(copy, dir), { recursive: true });
  symlinkSync(join(project, 'node_modules'), join(copy, 'node_modules'));
});

test.after(() => {
  rmSync(copy, { recursive: true, force: true });
});

/** Runs the copied script from elsewhere; returns the one line it prints. */
function generate(): string {
  const script = join(copy, 'scripts/generate-leyline.mjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], {
    cwd: tmpdir(),
    encoding: 'utf8',
  });
  assert.is(status, 0, stderr);
  const lines = stdout.trimEnd().split('\n');
  assert.is(lines.length, 1);
  return lines[0] ?? '';
}

const read = (dir: string, name: string): string => readFileSync(join(dir, name), 'utf8');

test('[R-F2] the generated code in use is what the .proto files give, byte for byte', () => {
  assert.match(generate(), /^leyline: generated: /);
  assert.equal(readdirSync(generated).sort(), outputs);
  for (const name of outputs) {
    assert.ok(
      read(generated, name) === read(join(project, 'src/leyline/generated'), name),
      `${name} differs`,
    );
  }
});

test('[R-F2] a second run changes nothing', () => {
  const before = statSync(join(generated, 'leyline.js')).mtimeMs;
  assert.match(generate(), /^leyline: up to date: /);
  assert.is(statSync(join(generated, 'leyline.js')).mtimeMs, before);
});

test('[R-F2] edited output does not last', () => {
  const whole = read(generated, 'leyline.js');
  appendFileSync(join(generated, 'leyline.js'), '// edited by hand\n');
  assert.match(generate(), /^leyline: generated: /);
  assert.ok(read(generated, 'leyline.js') === whole);
});

test('[R-F2] a changed .proto file changes the code', () => {
  const file = join(copy, 'proto/esper/leyline/v1/faults.proto');
  appendFileSync(file, 'message AddedLater {\n  string note = 1;\n}\n');
  assert.match(generate(), /^leyline: generated: /);
  assert.match(read(generated, 'leyline.d.ts'), /class AddedLater /);
});

test.run();
