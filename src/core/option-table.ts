/**
 * Options as data: one row an option, with its unit, default, range and what happens at its limit. The rows resolve
 * what a caller gave (unknown keys and values out of range refused, the result frozen) and are what
 * scripts/options-doc.mjs makes docs/options.md of.
 */
import { OptionError } from './errors.ts';
import type { OptionRow } from './option-rows.ts';
import { refuseUnknownKeys } from './options.ts';

export type OptionRows = Readonly<Record<string, OptionRow<unknown>>>;

export type OptionValue<R> = R extends OptionRow<infer T> ? T : never;

/** What a caller may give. A key whose value is undefined counts as not given. */
export type GivenOptions<R extends OptionRows> = {
  readonly [K in keyof R]?: OptionValue<R[K]> | undefined;
};

/** Every option with its value. */
export type ResolvedOptions<R extends OptionRows> = { readonly [K in keyof R]: OptionValue<R[K]> };

export interface ResolveContext<R extends OptionRows> {
  /** Environment variables, e.g. process.env: for options that have a variable and were not given. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** In place of the rows' own defaults, e.g. the bus's own options for those of a consumer. */
  readonly defaults?: GivenOptions<R>;
  /** In place of the table's, where several calls take the same options. */
  readonly owner?: string;
}

export interface TableHead {
  /** Whose options these are, as errors name it: 'createOona'. */
  readonly owner: string;
  /** Heading in docs/options.md. */
  readonly title: string;
  /** One or two sentences under the heading. */
  readonly intro: string;
}

export class OptionTable<R extends OptionRows> {
  readonly head: TableHead;
  readonly rows: R;

  /** Throws OptionError when a row's own default is not one of its allowed values. */
  constructor(head: TableHead, rows: R) {
    this.head = Object.freeze({ ...head });
    this.rows = Object.freeze({ ...rows });
    for (const [name, row] of Object.entries(rows)) {
      if (row.required || row.derived !== undefined) continue;
      if (row.defaultValue !== undefined && !row.accepts(row.defaultValue)) {
        throw new OptionError(`${head.owner}: the default of ${name} is not ${row.allowed}`);
      }
    }
  }

  /**
   * Given, else environment, else `context.defaults`, else the row's default. Frozen. Throws OptionError that names the
   * option (or variable), what it must be and what it was.
   */
  resolve(given: GivenOptions<R> | undefined, context: ResolveContext<R> = {}): ResolvedOptions<R> {
    const { owner = this.head.owner } = context;
    const names = Object.keys(this.rows);
    if (given !== undefined) {
      if (typeof given !== 'object' || given === null)
        throw new OptionError(`${owner}: options must be an object`);
      refuseUnknownKeys(owner, given, names);
    }
    const values: Record<string, unknown> = {};
    const derived: [string, (values: Readonly<Record<string, unknown>>) => unknown][] = [];
    for (const name of names) {
      const row = this.rows[name] as OptionRow<unknown>;
      const value = chosen(owner, name, row, given, context);
      if (value !== undefined) values[name] = value;
      else if (row.derived !== undefined) derived.push([name, row.derived]);
      else if (row.required) throw new OptionError(`${owner}: ${name} is missing: ${row.allowed}`);
      else values[name] = row.defaultValue;
    }
    // A derived default is made of options that are resolved by now.
    for (const [name, derive] of derived) values[name] = derive(values);
    return Object.freeze(values) as ResolvedOptions<R>;
  }

  /** Throws as `resolve` does, but neither misses nor makes anything: for what is called often. */
  check(given: GivenOptions<R>): void {
    const { owner } = this.head;
    for (const name of Object.keys(given)) {
      const row = Object.hasOwn(this.rows, name) ? this.rows[name] : undefined;
      if (row === undefined) refuseUnknownKeys(owner, given, Object.keys(this.rows));
      else if (given[name] !== undefined) checked(owner, name, row, given[name]);
    }
  }
}

function chosen<R extends OptionRows>(
  owner: string,
  name: string,
  row: OptionRow<unknown>,
  given: GivenOptions<R> | undefined,
  { env, defaults }: ResolveContext<R>,
): unknown {
  const own = given?.[name];
  if (own !== undefined) return checked(owner, name, row, own);
  const text = row.env === undefined ? undefined : env?.[row.env]?.trim();
  if (text !== undefined && text !== '') return read(owner, row, text);
  const other = defaults?.[name];
  return other === undefined ? undefined : checked(owner, name, row, other);
}

function checked(owner: string, name: string, row: OptionRow<unknown>, value: unknown): unknown {
  if (row.accepts(value)) return value;
  throw refused(owner, name, row, value);
}

function read(owner: string, row: OptionRow<unknown>, text: string): unknown {
  const value = row.read?.(text);
  if (value !== undefined && row.accepts(value)) return value;
  throw refused(owner, row.env ?? '', row, text);
}

function refused(owner: string, name: string, row: OptionRow<unknown>, value: unknown): OptionError {
  const was = row.secret ? 'something else' : shown(value);
  return new OptionError(`${owner}: ${name} must be ${row.allowed}, got ${was}`);
}

const SHOWN_LENGTH = 100;

/** Never throws: what cannot be turned into text is named by its type. */
function shown(value: unknown): string {
  if (typeof value === 'string') return `"${value.slice(0, SHOWN_LENGTH)}"`;
  return typeof value === 'object' || typeof value === 'function'
    ? value === null
      ? 'null'
      : `a value of type ${typeof value}`
    : String(value).slice(0, SHOWN_LENGTH);
}

export function optionTable<R extends OptionRows>(head: TableHead, rows: R): OptionTable<R> {
  return new OptionTable(head, rows);
}
