import type { Command } from 'commander';
import { type LetterCounts, typeName } from '../oona/dead-letters/counts.ts';
import { type DeadLetter, timeOfEntryId } from '../oona/dead-letters/letter.ts';
import type { LetterContent, ReplayReport, ReplayResult } from '../oona/dead-letters/types.ts';
import {
  type BusOptions,
  type FilterOptions,
  filterOf,
  parseCount,
  selectionOf,
  withBus,
  withDeadLetters,
  withFilter,
} from './dead-letter-target.ts';
import { print, printableText, printError, printJson, table } from './output.ts';
import { CommandError, EXIT } from './target.ts';

type Run = (work: () => Promise<number>) => Promise<void>;

interface Shown {
  readonly json: boolean;
}

export interface ListOptions extends BusOptions, FilterOptions, Shown {
  readonly limit: number;
  readonly after?: string;
  readonly oldestFirst: boolean;
  readonly counts: boolean;
}

export interface ReplayCommandOptions extends BusOptions, FilterOptions, Shown {
  readonly asIs: boolean;
  readonly newEventId: boolean;
  readonly limit: number;
}

export interface PurgeCommandOptions extends BusOptions, FilterOptions, Shown {
  readonly yes: boolean;
}

const LIST_EXAMPLES = `
Examples:
  esper-fastpath dead-letters list --counts
  esper-fastpath dead-letters list --code ESPER_LEYLINE_SIGNATURE_MISMATCH --limit 20
  esper-fastpath dead-letters list --json --after 1763798400000-0`;

const SHOW_EXAMPLES = `
Examples:
  esper-fastpath dead-letters show 1763798400000-0
  esper-fastpath dead-letters show 1763798400000-0 --json | jq .message`;

const REPLAY_EXAMPLES = `
Each message is verified, signed anew with the current key and published on the stream that it came from; then its
letter is removed. Repeating a replay that was cut off stores nothing twice.

Examples:
  esper-fastpath dead-letters replay 1763798400000-0 1763798400000-1
  esper-fastpath dead-letters replay --code ESPER_OONA_DELIVERIES_EXHAUSTED --stream oona.policy
  esper-fastpath dead-letters replay --code ESPER_LEYLINE_SIGNATURE_MISMATCH --as-is`;

const PURGE_EXAMPLES = `
Examples:
  esper-fastpath dead-letters purge --older-than 7d --yes
  esper-fastpath dead-letters purge 1763798400000-0 --yes`;

/** `esper-fastpath dead-letters …`. `run` turns what is thrown into an exit code. */
export function addDeadLetterCommands(program: Command, run: Run): void {
  const group = program
    .command('dead-letters')
    .description('look at, replay and remove the messages that consumers of the bus gave up');
  withFilter(withBus(group.command('list')))
    .description('list letters, newest first')
    .option('--limit <n>', 'most letters to list', parseCount, 50)
    .option('--after <id>', 'go on after this letter')
    .option('--oldest-first', 'oldest first', false)
    .option('--counts', 'only how many there are, by code, stream and type', false)
    .addHelpText('after', LIST_EXAMPLES)
    .action((options: ListOptions) => run(() => list(options)));
  withBus(group.command('show'))
    .description('show one letter and its message')
    .argument('<id>', 'id of the letter')
    .option('--unsigned', 'the bus runs without signatures: decode without verifying', false)
    .addHelpText('after', SHOW_EXAMPLES)
    .action((id: string, options: BusOptions & Shown) => run(() => show(id, options)));
  withFilter(withBus(group.command('replay')))
    .description('publish messages again, and remove their letters')
    .argument('[ids...]', 'ids of letters')
    .option('--all', 'every letter', false)
    .option('--limit <n>', 'most letters to replay by conditions', parseCount, 1000)
    .option(
      '--new-event-id',
      'messages get a new event id: who has handled the event handles it again',
      false,
    )
    .option('--as-is', 'append what does not verify untouched, for its consumers to judge again', false)
    .option('--unsigned', 'the bus runs without signatures', false)
    .addHelpText('after', REPLAY_EXAMPLES)
    .action((ids: string[], options: ReplayCommandOptions) => run(() => replay(ids, options)));
  withFilter(withBus(group.command('purge')))
    .description('remove letters for good')
    .argument('[ids...]', 'ids of letters')
    .option('--all', 'every letter', false)
    .option('--yes', 'really; without it nothing is removed', false)
    .addHelpText('after', PURGE_EXAMPLES)
    .action((ids: string[], options: PurgeCommandOptions) => run(() => purge(ids, options)));
}

function sentAt(letterId: string): string {
  return new Date(timeOfEntryId(letterId)).toISOString();
}

/** A letter as JSON and tables show it: all but its bytes. */
function plain({ payload, signature, messageType, ...letter }: DeadLetter): object {
  const type = messageType === undefined ? null : typeName(messageType);
  return { ...letter, buriedAt: sentAt(letter.letterId), messageType: type, payloadBytes: payload.length };
}

async function list(options: ListOptions): Promise<number> {
  return withDeadLetters(options, false, async (deadLetters) => {
    if (options.counts) {
      const counts = await deadLetters.counts();
      if (options.json) printJson(counts);
      else print(countTable(counts));
      return EXIT.done;
    }
    const { limit, after, oldestFirst } = options;
    const { all, ...filter } = filterOf(options);
    const query = { ...filter, limit, newestFirst: !oldestFirst, ...(after !== undefined && { after }) };
    const letters: DeadLetter[] = [];
    for await (const letter of deadLetters.list(query)) letters.push(letter);
    // More than the limit would say that there is more; a full page only may.
    const next = letters.length === limit ? (letters.at(-1)?.letterId ?? null) : null;
    if (options.json) printJson({ letters: letters.map(plain), next });
    else if (letters.length === 0) print('no dead letters');
    else print(letterTable(letters) + (next === null ? '' : `\nthere may be more: --after ${next}`));
    return EXIT.done;
  });
}

function letterTable(letters: readonly DeadLetter[]): string {
  const rows = letters.map((one) => [
    one.letterId,
    sentAt(one.letterId),
    one.damaged.length > 0 ? `(damaged: ${one.damaged.join(', ')})` : one.reason,
    printableText(one.originStream),
    printableText(one.group),
    one.messageType === undefined
      ? '-'
      : typeName(one.messageType).replace('BUS_MESSAGE_TYPE_', '').toLowerCase(),
    String(one.deliveryCount),
    printableText(one.error),
  ]);
  return table(['id', 'buried at', 'reason', 'stream', 'group', 'type', 'tries', 'error'], rows);
}

function countTable({ total, complete, byCode, byStream, byMessageType }: LetterCounts): string {
  const rows = Object.entries({ code: byCode, stream: byStream, type: byMessageType }).flatMap(
    ([by, counts]) =>
      Object.entries(counts).map(([label, count]) => [by, printableText(label), String(count)]),
  );
  const text = `${complete ? '' : 'more than '}${total} dead letters`;
  return rows.length === 0 ? text : `${text}\n${table(['by', 'what', 'letters'], rows)}`;
}

async function show(letterId: string, options: BusOptions & Shown): Promise<number> {
  return withDeadLetters(options, true, async (deadLetters) => {
    const found = await deadLetters.inspect(letterId);
    if (found.outcome === 'not-found') throw noSuchLetter(letterId);
    const { outcome, letter, ...content } = found;
    if (options.json) printJson({ ...plain(letter), ...content });
    else print(describe(found));
    return EXIT.done;
  });
}

function describe(content: LetterContent): string {
  const { letter, verified, envelope, message, payloadBase64 } = content;
  const theirs = Object.entries(letter.originalFields);
  const fields = Object.entries(plain(letter))
    .filter(([name]) => name !== 'originalFields')
    .map(([name, value]) => [name, shown(value)]);
  const signature = verified.ok
    ? shownKey(verified.keyId)
    : `NOT VERIFIED: ${verified.reason} (${verified.code})`;
  const attributes = Object.entries(envelope?.attributes ?? {});
  const rows = [
    ...fields,
    ['signature', signature],
    ...theirs.map(([name, value]) => [`original ${printableText(name)}`, shown(value)]),
    ...attributes.map(([name, value]) => [`attribute ${printableText(name)}`, shown(value)]),
  ];
  const original = message === undefined ? `\noriginal, base64: ${payloadBase64}` : '';
  return `${table(['field', 'value'], rows)}\n\n${shownMessage(content)}${original}`;
}

function shownMessage({ message, messageProblem }: LetterContent): string {
  if (message !== undefined) return printableLines(JSON.stringify(message, undefined, 2));
  if (messageProblem === undefined) return 'not decoded: it does not verify';
  return `not decoded: ${messageProblem.reason} (${messageProblem.code})`;
}

function shownKey(keyId: string | undefined): string {
  return keyId === undefined ? 'not looked at (--unsigned)' : `verified with key ${keyId}`;
}

/** As printableText, with its line breaks. */
function printableLines(text: string): string {
  return text.split('\n').map(printableText).join('\n');
}

function shown(value: unknown): string {
  return printableText(Array.isArray(value) ? value.join(', ') : String(value ?? ''));
}

async function replay(ids: readonly string[], options: ReplayCommandOptions): Promise<number> {
  const selection = selectionOf(ids, options);
  return withDeadLetters(options, true, async (deadLetters) => {
    const { limit, newEventId, asIs } = options;
    const how = { limit, newEventId, ...(asIs && { allowUnverified: 'as-is' as const }) };
    const report = await deadLetters.replay(selection, how);
    if (options.json) printJson(report);
    else printReplay(report);
    if (report.failure !== undefined) {
      const { code, reason } = report.failure;
      const text = `replay ended early: ${reason} (${code}); repeating it goes on, and stores nothing twice`;
      throw new CommandError(EXIT.failed, text);
    }
    const { replayed, alreadyReplayed, refused, notFound } = report;
    if (refused > 0) return EXIT.failed;
    return notFound > 0 && replayed + alreadyReplayed === 0 ? EXIT.noSuchSignal : EXIT.done;
  });
}

function printReplay(report: ReplayReport): void {
  const { results, replayed, alreadyReplayed, refused, notFound, more } = report;
  const rows = results.map((result) => [result.letterId, result.outcome, printableText(whereOrWhy(result))]);
  if (rows.length > 0) print(table(['id', 'outcome', 'where or why'], rows));
  const counts = [
    `${replayed} replayed, ${alreadyReplayed} replayed before`,
    `${refused} refused, ${notFound} not found`,
  ];
  print(counts.join(', ') + (more ? '; there may be more' : ''));
}

function whereOrWhy(result: ReplayResult): string {
  if (result.outcome === 'not-found') return '';
  if ('code' in result) return `${result.code}: ${result.reason}`;
  const kept = result.removed ? '' : ' (its letter could not be removed: replay it once more)';
  return `${result.stream} ${result.entryId}${result.asIs ? ', as it was' : ''}${kept}`;
}

async function purge(ids: readonly string[], options: PurgeCommandOptions): Promise<number> {
  const selection = selectionOf(ids, options);
  if (!options.yes) {
    const text = 'nothing removed: letters are gone for good; add --yes if you mean it';
    throw new CommandError(EXIT.usage, text);
  }
  return withDeadLetters(options, false, async (deadLetters) => {
    const report = await deadLetters.purge(selection);
    if (options.json) printJson(report);
    else print(`${report.removed} removed`);
    if (report.failure !== undefined) {
      const { code, reason } = report.failure;
      throw new CommandError(EXIT.failed, `purge ended early: ${reason} (${code})`);
    }
    if (report.notFound > 0) printError(`warning: ${report.notFound} of the ids are no letters`);
    return report.removed === 0 && report.notFound > 0 ? EXIT.noSuchSignal : EXIT.done;
  });
}

function noSuchLetter(letterId: string): CommandError {
  return new CommandError(EXIT.noSuchSignal, `there is no dead letter ${printableText(letterId)}`);
}
