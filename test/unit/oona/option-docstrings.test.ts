/** What editors show of an option is written by hand beside its type: it must say what the tables say. */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { OptionRow } from '../../../src/core/option-rows.ts';
import type { OptionRows, OptionTable } from '../../../src/core/option-table.ts';
import { CONSUMER_OPTIONS } from '../../../src/oona/consumer/options.ts';
import {
  DEAD_LETTER_AUDITOR_OPTIONS,
  DEAD_LETTERS_OPTIONS,
  LETTER_QUERY_OPTIONS,
  REPLAY_OPTIONS,
} from '../../../src/oona/dead-letters/options.ts';
import { OONA_OPTIONS } from '../../../src/oona/options.ts';
import { PUBLISH_CALL_OPTIONS } from '../../../src/oona/publish/call-options.ts';
import { EMERGENCY_READER_OPTIONS } from '../../../src/oona/reader-options.ts';
import { REDIS_TUNING_OPTIONS } from '../../../src/oona/transport/redis-options.ts';
import { REDIS_TARGET_OPTIONS } from '../../../src/oona/transport/redis-target-options.ts';

const test = suite('docstrings of options');

const TABLES: readonly (readonly [string, string, OptionTable<OptionRows>])[] = [
  ['options.ts', 'OonaOptions', OONA_OPTIONS],
  ['work-types.ts', 'ConsumerOptions', CONSUMER_OPTIONS],
  ['work-types.ts', 'WorkPublishOptions', PUBLISH_CALL_OPTIONS],
  ['reader-options.ts', 'EmergencyReaderOptions', EMERGENCY_READER_OPTIONS],
  ['transport/redis-options.ts', 'RedisTransportOptions', REDIS_TUNING_OPTIONS],
  ['transport/redis-target.ts', 'RedisTargetOptions', REDIS_TARGET_OPTIONS],
  ['dead-letters/types.ts', 'DeadLettersOptions', DEAD_LETTERS_OPTIONS],
  ['dead-letters/types.ts', 'LetterQuery', LETTER_QUERY_OPTIONS],
  ['dead-letters/types.ts', 'ReplayOptions', REPLAY_OPTIONS],
  ['dead-letters/auditor.ts', 'DeadLetterAuditorOptions', DEAD_LETTER_AUDITOR_OPTIONS],
];

/** By option, as one line. */
function docstrings(file: string, type: string): Map<string, string> {
  const source = readFileSync(new URL(`../../../src/oona/${file}`, import.meta.url), 'utf8');
  const [, body = ''] = new RegExp(`export interface ${type}\\b[^{]*{\\n(.*?)\\n}`, 's').exec(source) ?? [];
  const found = new Map<string, string>();
  for (const [, text = '', name = ''] of body.matchAll(/\/\*\*((?:(?!\*\/).)*)\*\/\s*readonly (\w+)\??:/gs)) {
    found.set(name, text.replace(/\s*\n\s*\*\s?/g, ' ').trim());
  }
  return found;
}

const bare = (text: string): string => text.replace(/ \([^)]*\)/g, '').replaceAll(',', '');
const UNITS: Readonly<Record<string, number>> = {
  ...{ days: 86_400_000, day: 86_400_000 },
  ...{ MiB: 2 ** 20, TiB: 2 ** 40 },
};

/** '7 days', 'a day', '512 MiB', '64' as a plain number. */
function plain(text: string): string {
  const [count = '', unit = ''] = text.split(' ');
  return String((count === 'a' ? 1 : Number(count)) * (UNITS[unit] ?? 1));
}

/** '1-600000', '1000 to 7 days', '0 to a day' as the table has them. */
function rangesOf(doc: string): string[] {
  const found = doc.matchAll(/\b(\d+)(?:-| to )(\d+(?: [MT]iB| days)?|a day)/g);
  return [...found].map(([, from, to = '']) => `${from} to ${plain(to)}`);
}

function defaultOf(doc: string): string | undefined {
  const [, value] = /\bDefault:? (\d+(?: MiB)?|true|false)\b/.exec(doc) ?? [];
  return value === undefined || /^\D/.test(value) ? value : plain(value);
}

const isNumeric = ({ range, allowed }: OptionRow<unknown>): boolean =>
  /number/.test(allowed) && /^-?\d/.test(range);

for (const [file, type, table] of TABLES) {
  test(`[R-O1] ${type}: ranges and defaults are those of the table`, () => {
    const docs = docstrings(file, type);
    assert.ok(docs.size > 1, 'no docstrings found');
    for (const [name, row] of Object.entries(table.rows)) {
      const doc = docs.get(name);
      if (doc === undefined) continue;
      if (isNumeric(row)) assert.ok(rangesOf(doc).includes(bare(row.range)), `${name}, ${row.range}: ${doc}`);
      const told = defaultOf(doc);
      if (told !== undefined && !doc.includes(`Default: ${told} for`)) {
        assert.is(told, bare(row.defaultText), `default of ${name}: ${doc}`);
      }
      const hasDefault = row.defaultValue !== undefined && isNumeric(row) && /^[\d,]+/.test(row.defaultText);
      if (hasDefault) assert.ok(told !== undefined, `${name} says no default: ${doc}`);
    }
  });
}

test.run();
