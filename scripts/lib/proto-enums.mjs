/** The enums of proto/, read from the text: what the checks need is names and numbers, no more. */
import { listFiles, readSource, withoutComments } from './source.mjs';

/**
 * @typedef {object} ProtoEnum
 * @property {string} name
 * @property {{ name: string, short: string, number: number }[]} values `short` is the name without the prefix that
 *   all values of the enum share (EMERGENCY_LEVEL_HALT: HALT)
 */

/** @param {string[]} names */
function commonPrefix(names) {
  const [first = '', ...others] = names;
  let length = first.length;
  for (const name of others) while (!name.startsWith(first.slice(0, length))) length--;
  return first.slice(0, first.slice(0, length).lastIndexOf('_') + 1);
}

/**
 * @param {string} root
 * @returns {ProtoEnum[]}
 */
export function readEnums(root) {
  return listFiles(root, ['proto'], ['.proto']).flatMap((file) => {
    const text = withoutComments(readSource(root, file));
    return [...text.matchAll(/\benum\s+(\w+)\s*\{([^}]*)\}/g)].map((match) => {
      const values = [...(match[2] ?? '').matchAll(/\b([A-Z]\w*)\s*=\s*(\d+)/g)];
      const prefix = commonPrefix(values.map((value) => value[1] ?? ''));
      return {
        name: match[1] ?? '',
        values: values.map(([, name = '', number]) => ({
          name,
          short: name.slice(prefix.length),
          number: Number(number),
        })),
      };
    });
  });
}
