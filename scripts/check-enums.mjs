#!/usr/bin/env node
import { readEnums } from './lib/proto-enums.mjs';
/**
 * Leyline's enums exist once, in proto/. A second table of the same names and numbers in src/ goes wrong silently
 * when the contract grows, so this finds local mirrors: object literals, groups of constants, number-to-name maps
 * and arrays of names that re-state two or more values of an enum. The constants that C++ needs are compared value
 * by value (native/core/levels.h).
 */
import { givenRoot, lineAt, listFiles, readSource, report, withoutComments } from './lib/source.mjs';

/** @typedef {{ name: string, number: number, at: number }} Pair */

/** kLevelHalt, halt, 'half-open' and HALF_OPEN are one name. @param {string} name */
const normal = (name) =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toUpperCase();

const nameBeforeNumber = /(['"]?)([A-Za-z_][\w-]*)\1\s*(?::|=(?!=|>))\s*(\d+)\b(?![.\w])/g;
const numberBeforeName = /(?<![\w.])(\d+)\s*(?::|,)\s*(['"])([A-Za-z_][\w-]*)\2/g;
const namesInArray = /\[((?:\s*(?:(['"])[\w -]*\2|undefined|null)\s*,?)+)\s*\]/g;

/**
 * Start of the innermost `{` or `[` around each offset: pairs in one literal belong together, and so do pairs
 * outside any (a group of constants).
 * @param {string} text
 */
function blockStarts(text) {
  const starts = new Int32Array(text.length).fill(-1);
  /** @type {number[]} */
  const open = [];
  for (let at = 0; at < text.length; at++) {
    starts[at] = open.at(-1) ?? -1;
    if (text[at] === '{') open.push(at);
    else if (text[at] === '}') open.pop();
  }
  return starts;
}

/**
 * Name-number pairs of a file, grouped by the literal or block they stand in.
 * @param {string} text without comments
 * @returns {Pair[][]}
 */
function groupsOf(text) {
  const starts = blockStarts(text);
  /** @type {Map<number, Pair[]>} */
  const groups = new Map();
  /** @param {string} name @param {string} number @param {number} at @param {number} [group] */
  const add = (name, number, at, group = starts[at] ?? -1) => {
    const pairs = groups.get(group) ?? [];
    groups.set(group, pairs);
    pairs.push({ name: normal(name), number: Number(number), at });
  };
  for (const m of text.matchAll(nameBeforeNumber)) add(m[2] ?? '', m[3] ?? '', m.index);
  for (const m of text.matchAll(numberBeforeName)) add(m[3] ?? '', m[1] ?? '', m.index);
  return [...groups.values()];
}

/**
 * Arrays of names that are an enum by position: from index 1 on every element is the value of that number. Less
 * would take any list that happens to have `error` in fifth place.
 * @param {string} text without comments
 * @param {import('./lib/proto-enums.mjs').ProtoEnum} protoEnum
 * @returns {Pair[][]}
 */
function arrayMirrors(text, protoEnum) {
  const numbers = new Map(
    protoEnum.values.flatMap((v) => [
      [v.name, v.number],
      [v.short, v.number],
    ]),
  );
  const arrays = [...text.matchAll(namesInArray)].map((m) =>
    [...(m[1] ?? '').matchAll(/(['"])([\w -]*)\1|undefined|null/g)].map((element, number) => ({
      name: normal(element[2] ?? ''),
      number,
      at: m.index,
    })),
  );
  return arrays.filter(
    (array) => array.length > 2 && array.slice(1).every((p) => numbers.get(p.name) === p.number),
  );
}

/**
 * Names of the values that a group re-states. The whole name counts with any number; the name without the enum's
 * prefix only with the value's own number, or `{ warning: 85, critical: 95 }` would be an enum.
 * @param {import('./lib/proto-enums.mjs').ProtoEnum} protoEnum
 * @param {Pair[]} group
 */
function restated(protoEnum, group) {
  const found = protoEnum.values.filter((value) =>
    group.some(
      (p) =>
        p.name === value.name ||
        (p.name.endsWith(value.short) && p.number === value.number && isShort(p.name, value)),
    ),
  );
  return found.map((value) => value.name);
}

/**
 * The name is the short one, or it with some prefix of its own: HALT, LEVEL_HALT, K_LEVEL_HALT.
 * @param {string} name
 * @param {{ short: string }} value
 */
function isShort(name, value) {
  return (
    name === value.short || name.endsWith(`LEVEL_${value.short}`) || name.endsWith(`PRIORITY_${value.short}`)
  );
}

/**
 * @param {string} root
 * @param {import('./lib/proto-enums.mjs').ProtoEnum[]} enums
 */
function compareNative(root, enums) {
  const file = 'native/core/levels.h';
  const level = enums.find((e) => e.name === 'EmergencyLevel');
  if (!level) return ['proto/: no enum EmergencyLevel'];
  const text = listFiles(root, ['native/core'], ['levels.h']).length > 0 ? readSource(root, file) : '';
  const constants = new Map(
    [...withoutComments(text).matchAll(/\bkLevel(\w+)\s*=\s*(\d+)\s*;/g)].map((m) => [
      normal(m[1] ?? ''),
      Number(m[2]),
    ]),
  );
  return level.values
    .filter((value) => value.number > 0 && constants.get(value.short) !== value.number)
    .map(
      (value) =>
        `${file}: kLevel… for ${value.name} = ${value.number} is ${constants.get(value.short) ?? 'missing'}`,
    );
}

const root = givenRoot();
const enums = readEnums(root);
const files = listFiles(root, ['src'], ['.ts', '.js', '.mjs', '.lua']);
const findings = compareNative(root, enums);
for (const file of files) {
  const text = withoutComments(readSource(root, file));
  const groups = groupsOf(text);
  for (const protoEnum of enums) {
    for (const group of [...groups, ...arrayMirrors(text, protoEnum)]) {
      const names = restated(protoEnum, group);
      if (names.length < 2) continue;
      const line = lineAt(text, Math.min(...group.map((pair) => pair.at)));
      findings.push(
        `${file}:${line}: re-states ${protoEnum.name} (${names.join(', ')}); use src/leyline/messages.ts`,
      );
    }
  }
}
report(
  'check-enums',
  findings,
  `${enums.length} enums, no mirror in ${files.length} files, native levels equal`,
);
