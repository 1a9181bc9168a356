import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LUA_SCRIPTS, type LuaScript, type LuaScriptName } from '../../../src/oona/transport/lua-scripts.ts';
import { luaSource } from '../../../src/oona/transport/redis-script.ts';

const folder = new URL('../../../src/oona/lua/', import.meta.url);
const files = readdirSync(folder).map((file) => file.replace(/\.lua$/, ''));
const scripts = Object.entries(LUA_SCRIPTS) as [LuaScriptName, LuaScript][];

/** The comment at the top, below the flags if it has any, and what follows it, as the file has them. */
function parts(name: string): { readonly header: string; readonly body: string } {
  const source = readFileSync(new URL(`${name}.lua`, folder), 'utf8');
  const end = source.indexOf(']]');
  assert.ok(/^(#!lua flags=[\w,-]+\n)?--\[\[\n/.test(source) && end > 0, `${name} begins with its contract`);
  return { header: source.slice(0, end), body: source.slice(end) };
}

/** Numbers in order, each once. */
const numbers = (found: Iterable<RegExpMatchArray>): number[] =>
  [...new Set([...found].map(([, n]) => Number(n)))].sort((a, b) => a - b);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

test('[R-O1] each Lua file is a script that the list names, or a library that a script includes', () => {
  const libraries = new Set(
    scripts.flatMap(([name]) =>
      [...parts(name).body.matchAll(/^-- include ([\w-]+)$/gm)].map(([, one]) => one),
    ),
  );
  assert.equal(files.filter((name) => /-\d+$/.test(name)).sort(), scripts.map(([name]) => name).sort());
  assert.equal(files.filter((name) => !/-\d+$/.test(name)).sort(), [...libraries].sort());
  for (const [name] of scripts) assert.not.match(luaSource(name), /^-- include/m);
});

for (const [name, { keys, restKeys, args, rest, codes, eachCodes = {} }] of scripts) {
  test(`[R-O1] ${name}: keys in its name, header, body and list agree`, () => {
    const { header, body } = parts(name);
    assert.is(Number(/\d+$/.exec(name)?.[0]), keys.length);
    assert.equal(numbers(header.matchAll(/^ {2}KEYS\[(\d+)\] /gm)), upTo(keys.length));
    assert.equal(numbers(body.matchAll(/\bKEYS\[(\d+)\]/g)), upTo(keys.length));
    const restFrom = restKeys === undefined ? [] : [keys.length + 1];
    assert.equal(numbers(header.matchAll(/^ {2}KEYS\[(\d+)…\] /gm)), restFrom);
    // Taken by an index that goes along with the arguments: the first of them must meet the first of these.
    const first = [...body.matchAll(/for i = (\d+), #ARGV\b[\s\S]*?KEYS\[i - (\d+)\]/g)].map(
      ([, from, less]) => Number(from) - Number(less),
    );
    const counted = [...body.matchAll(/for i, \w+ in ipairs\(ids\)[\s\S]*?KEYS\[i \+ (\d+)\]/g)].map(
      ([, more]) => 1 + Number(more),
    );
    assert.equal([...first, ...counted], restFrom);
  });

  test(`[R-O1] ${name}: arguments in its header, body and list agree`, () => {
    const { header, body } = parts(name);
    assert.equal(numbers(header.matchAll(/^ {2}ARGV\[(\d+)\] /gm)), upTo(args.length));
    assert.equal(numbers(body.matchAll(/\bARGV\[(\d+)\]/g)), upTo(args.length));
    const restFrom = rest === undefined ? [] : [args.length + 1];
    assert.equal(numbers(header.matchAll(/^ {2}ARGV\[(\d+)…\] /gm)), restFrom);
    // The body takes the rest in a loop of its own, or hands its first index to the library that does.
    const loop = numbers(body.matchAll(/for i = (\d+), #ARGV\b/g));
    const handed = numbers(body.matchAll(/\bARGV\[\d+\], (\d+)\)$/gm));
    assert.equal([...loop, ...handed], restFrom);
  });

  test(`[R-O1] ${name}: return codes in its header, body and list agree`, () => {
    const { header, body } = parts(name);
    const returns = header.slice(header.indexOf('\n  Returns'));
    assert.match(header, /\n {2}Returns/);
    const listed = Object.values(codes).sort((a, b) => a - b);
    const ofEach = Object.values(eachCodes).sort((a, b) => a - b);
    assert.equal(numbers(returns.matchAll(/^(?: {2}Returns)? +(\d+) {2}\w/gm)), [...listed, ...ofEach]);
    // Codes that stand in a table are named in one line, by the names that the list has for them.
    const [, names = '', values = ''] = /^local ([A-Z]+(?:, [A-Z]+)*) = (\d[\d, ]*)$/m.exec(body) ?? [];
    if (ofEach.length > 0) {
      assert.equal(names.toLowerCase().split(', '), Object.keys(eachCodes));
      assert.equal(values.split(', ').map(Number), Object.values(eachCodes));
    }
    if (listed.length === 0) return;
    // Returns of the script itself stand at its own level or one condition deep, never inside a function.
    const own = body.replace(/^local function [\s\S]*?^end$/gm, '');
    assert.equal(numbers(own.matchAll(/\breturn (?:\{ )?(\d+)/g)), listed);
    assert.is(
      [...own.matchAll(/\breturn\b/g)].length,
      [...own.matchAll(/\breturn (?:(?:\{ )?\d|id$)/gm)].length,
    );
  });
}

test('[R-O1] libraries use no keys, and only those arguments that they are told of', () => {
  for (const name of files.filter((file) => !/-\d+$/.test(file))) {
    const { body } = parts(name);
    assert.not.match(body, /\bKEYS\b/, name);
    assert.not.match(body, /\bARGV\[\d/, name);
  }
});

test.run();
