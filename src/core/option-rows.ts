/** The kinds of options that an OptionTable has rows of. */

/** One option: how it is told, checked and read. Made by the functions of this file. */
export interface OptionRow<T> {
  /** 'ms', 'bytes', 'entries'; '' where there is none. */
  readonly unit: string;
  /** What a value must be, as an error says it: 'a whole number from 1 to 1000'. */
  readonly allowed: string;
  /** The range as the table of docs/options.md has it: '1 to 1000'. */
  readonly range: string;
  /** The default as people read it. */
  readonly defaultText: string;
  readonly defaultValue: T | undefined;
  /** Makes the default of options that are resolved before. */
  readonly derived: ((values: Readonly<Record<string, unknown>>) => T) | undefined;
  readonly required: boolean;
  /** Environment variable that sets it when the caller does not. */
  readonly env: string | undefined;
  /** What happens when the value's limit is reached at run time. */
  readonly atLimit: string;
  readonly text: string;
  /** Title of the table that the options in it have. */
  readonly part: string | undefined;
  /** Its value is in no error. */
  readonly secret: boolean;
  readonly accepts: (value: unknown) => value is T;
  /** From an environment variable; undefined when it cannot be read as one. */
  readonly read: ((text: string) => T | undefined) | undefined;
}

interface Common {
  /** What it is for; one sentence or two, with a full stop. */
  readonly text: string;
  /** What happens when its limit is reached. Needed where there is one. */
  readonly atLimit?: string;
  readonly env?: string;
  /** Its value must be in no error. */
  readonly secret?: boolean;
}

/** A default that follows from other options, which have none that does. */
export interface DerivedDefault<T = number, From = number> {
  /** As people read it: 'a third of leaseMs'. */
  readonly text: string;
  readonly of: (option: (name: string) => From) => T;
}

export interface NumberSpec extends Common {
  readonly unit: string;
  readonly default: number | DerivedDefault;
  /** Where the number says too little: "the bus's `maxAgeMs`". */
  readonly defaultText?: string;
  readonly min: number;
  readonly max: number;
  readonly atLimit: string;
}

const common = ({ text, atLimit = '', env, secret = false }: Common) => ({
  text,
  atLimit,
  env,
  secret,
  required: false,
  part: undefined,
});

const SIZES: Readonly<Record<string, readonly (readonly [string, number])[]>> = Object.freeze({
  ms: [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
  ],
  bytes: [
    ['TiB', 2 ** 40],
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ],
});

/** 86400000 ms read better as 86,400,000 (1 d). */
function grouped(value: number, unit: string): string {
  const [name, size] = SIZES[unit]?.find(([, one]) => value >= one && value % one === 0) ?? [];
  const text = Number.isInteger(value) ? value.toLocaleString('en-US') : String(value);
  return size === undefined ? text : `${text} (${value / size} ${name})`;
}

function numeric(spec: NumberSpec, whole: boolean): OptionRow<number> {
  const { unit, min, max } = spec;
  const kind = whole ? 'a whole number' : 'a number';
  const isDerived = typeof spec.default === 'object';
  const accepts = (value: unknown): value is number =>
    typeof value === 'number' &&
    (whole ? Number.isInteger(value) : Number.isFinite(value)) &&
    value >= min &&
    value <= max;
  const { default: given } = spec;
  return Object.freeze({
    ...common(spec),
    unit,
    allowed: `${kind}${unit === '' ? '' : ` of ${unit}`} from ${min} to ${max}`,
    range: `${grouped(min, unit)} to ${grouped(max, unit)}`,
    defaultText: spec.defaultText ?? (typeof given === 'object' ? given.text : grouped(given, unit)),
    defaultValue: typeof given === 'object' ? undefined : given,
    derived: isDerived ? deriving(spec.default as DerivedDefault, spec, whole) : undefined,
    accepts,
    read: (text: string) => (/^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : undefined),
  });
}

function deriving({ of }: DerivedDefault, { min, max }: NumberSpec, whole: boolean) {
  return (values: Readonly<Record<string, unknown>>): number => {
    const value = of((name) => Number(values[name]));
    return Math.min(max, Math.max(min, whole ? Math.round(value) : value));
  };
}

/** A whole number in [min, max]. A derived default is rounded and brought into that range. */
export const integer = (spec: NumberSpec): OptionRow<number> => numeric(spec, true);
/** A number in [min, max]. */
export const number = (spec: NumberSpec): OptionRow<number> => numeric(spec, false);

const TRUTH: Readonly<Record<string, boolean>> = Object.freeze({
  '1': true,
  true: true,
  '0': false,
  false: false,
});

export interface FlagSpec extends Common {
  readonly default: boolean | DerivedDefault<boolean, unknown>;
}

export function flag(spec: FlagSpec): OptionRow<boolean> {
  const { default: given } = spec;
  const derives = typeof given === 'object' ? given : undefined;
  return Object.freeze({
    ...common(spec),
    ...{ unit: '', allowed: 'true or false', range: 'true, false' },
    defaultText: derives?.text ?? String(given),
    defaultValue: typeof given === 'object' ? undefined : given,
    derived: derives && ((values: Readonly<Record<string, unknown>>) => derives.of((name) => values[name])),
    accepts: (value: unknown): value is boolean => typeof value === 'boolean',
    read: (text: string) => {
      const lower = text.toLowerCase();
      return Object.hasOwn(TRUTH, lower) ? TRUTH[lower] : undefined;
    },
  });
}

const REQUIRED = 'none: required';

export interface ChoiceSpec<C extends string> extends Common {
  /** undefined: the option is required. */
  readonly default: C | undefined;
  readonly choices: readonly C[];
  /** What an error adds to them: where that is which is none of them. */
  readonly hint?: string;
}

export function choice<const C extends string>(spec: ChoiceSpec<C>): OptionRow<C> {
  const { choices, default: given } = spec;
  const accepts = (value: unknown): value is C => choices.some((one) => one === value);
  return Object.freeze({
    ...common(spec),
    unit: '',
    allowed: `one of ${choices.join(', ')}${spec.hint === undefined ? '' : ` (${spec.hint})`}`,
    range: choices.map((one) => `\`${one}\``).join(', '),
    required: given === undefined,
    defaultText: given === undefined ? REQUIRED : `\`${given}\``,
    ...{ defaultValue: given, derived: undefined },
    accepts,
    read: (text: string) => (accepts(text) ? text : undefined),
  });
}

export interface TextSpec extends Common {
  /** undefined: the option is required. */
  readonly default: string | undefined;
  readonly pattern: RegExp;
  /** What the pattern means: '1-64 characters without spaces'. */
  readonly allowed: string;
}

export function text(spec: TextSpec): OptionRow<string> {
  const { default: given, pattern, allowed } = spec;
  return Object.freeze({
    ...common(spec),
    ...{ unit: '', allowed, range: allowed, required: given === undefined, derived: undefined },
    defaultText: given === undefined ? REQUIRED : `\`${given === '' ? "''" : given}\``,
    defaultValue: given,
    accepts: (value: unknown): value is string => typeof value === 'string' && pattern.test(value),
    read: (value: string) => value,
  });
}

export interface ValueSpec<T> extends Common {
  /** What it must be, as errors and the table say it: 'a function', 'a Clock'. */
  readonly allowed: string;
  readonly unit?: string;
  readonly defaultText: string;
  readonly default: T;
  readonly accepts: (value: unknown) => boolean;
}

/** An object or function that is handed over: a clock, a logger, a callback. `T` may include undefined. */
export function value<T>(spec: ValueSpec<T>): OptionRow<T> {
  const { allowed, unit = '', defaultText, default: given, accepts } = spec;
  return Object.freeze({
    ...common(spec),
    ...{ unit, allowed, range: allowed, defaultText, defaultValue: given, derived: undefined },
    accepts: (one: unknown): one is T => accepts(one),
    read: undefined,
  });
}

/** An object or function that must be handed over. */
export function needed<T>(spec: Omit<ValueSpec<T>, 'default' | 'defaultText'>): OptionRow<T> {
  const row = value<T | undefined>({ ...spec, default: undefined, defaultText: REQUIRED });
  return Object.freeze({
    ...row,
    ...{ required: true, defaultValue: undefined, derived: undefined, read: undefined },
    accepts: (one: unknown): one is T => row.accepts(one),
  });
}

export interface PartSpec {
  readonly text: string;
  /** The table of these options. */
  readonly of: { readonly head: { readonly title: string } };
  readonly defaultText?: string;
  /** What may be given in their place: 'true or false'. */
  readonly instead?: { readonly allowed: string; readonly accepts: (value: unknown) => boolean };
}

/** Options that have a table of their own, which resolves them: here only that it is an object is looked at. */
export function part<T>({
  text,
  of,
  defaultText = 'their defaults',
  instead,
}: PartSpec): OptionRow<T | undefined> {
  const { title } = of.head;
  const row = value<T | undefined>({
    ...{ text, defaultText, default: undefined },
    allowed: `${instead === undefined ? '' : `${instead.allowed}, or `}an object of the options of "${title}"`,
    accepts: (one) =>
      instead?.accepts(one) === true || (typeof one === 'object' && one !== null && !Array.isArray(one)),
  });
  const link = `[${title}](#${anchorOf(title)})`;
  return Object.freeze({
    ...row,
    part: title,
    range: instead === undefined ? link : `${instead.allowed}, or ${link}`,
  });
}

/** Of a heading, as Markdown on GitHub makes it. */
function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\w\s-]/g, '')
    .replace(/\s/g, '-');
}

export const isFunction = (value: unknown): boolean => typeof value === 'function';

export const isText =
  (pattern: RegExp) =>
  (value: unknown): boolean =>
    typeof value === 'string' && pattern.test(value);

/** Something that can be called by these names, an instance of ours or not. */
export const hasMethods =
  (...names: readonly string[]) =>
  (value: unknown): boolean =>
    ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
    names.every((name) => typeof (value as Readonly<Record<string, unknown>>)[name] === 'function');
