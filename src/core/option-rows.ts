/** The kinds of options that an OptionTable has rows of. */

/** One option: how it is told, checked and read. Made by `integer`, `number`, `flag`, `choice`, `text`, `value`. */
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
}

/** A default that follows from other options. */
export interface DerivedDefault {
  /** As people read it: 'a third of leaseMs'. */
  readonly text: string;
  readonly of: (option: (name: string) => number) => number;
}

export interface NumberSpec extends Common {
  readonly unit: string;
  readonly default: number | DerivedDefault;
  readonly min: number;
  readonly max: number;
  readonly atLimit: string;
}

const common = ({ text, atLimit = '', env }: Common) => ({
  text,
  atLimit,
  env,
  secret: false,
  required: false,
});

/** 86400000 reads better as 86,400,000. */
function grouped(value: number): string {
  return Number.isInteger(value) ? value.toLocaleString('en-US') : String(value);
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
    range: `${grouped(min)} to ${grouped(max)}`,
    defaultText: typeof given === 'object' ? given.text : grouped(given),
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

export function flag(spec: Common & { readonly default: boolean }): OptionRow<boolean> {
  return Object.freeze({
    ...common(spec),
    ...{ unit: '', allowed: 'true or false', range: 'true, false' },
    ...{ defaultText: String(spec.default), defaultValue: spec.default, derived: undefined },
    accepts: (value: unknown): value is boolean => typeof value === 'boolean',
    read: (text: string) => {
      const lower = text.toLowerCase();
      return Object.hasOwn(TRUTH, lower) ? TRUTH[lower] : undefined;
    },
  });
}

export interface ChoiceSpec<C extends string> extends Common {
  readonly default: C;
  readonly choices: readonly C[];
}

export function choice<const C extends string>(spec: ChoiceSpec<C>): OptionRow<C> {
  const { choices } = spec;
  const accepts = (value: unknown): value is C => choices.some((one) => one === value);
  return Object.freeze({
    ...common(spec),
    unit: '',
    allowed: `one of ${choices.join(', ')}`,
    range: choices.map((one) => `\`${one}\``).join(', '),
    defaultText: `\`${spec.default}\``,
    ...{ defaultValue: spec.default, derived: undefined },
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
  readonly secret?: boolean;
}

export function text(spec: TextSpec): OptionRow<string> {
  const { default: given, pattern, allowed, secret = false } = spec;
  return Object.freeze({
    ...common(spec),
    ...{ unit: '', allowed, range: allowed, secret, required: given === undefined, derived: undefined },
    defaultText: given === undefined ? 'none: required' : `\`${given === '' ? "''" : given}\``,
    defaultValue: given,
    accepts: (value: unknown): value is string => typeof value === 'string' && pattern.test(value),
    read: (value: string) => value,
  });
}

export interface ValueSpec<T> extends Common {
  /** What it must be, as errors and the table say it: 'a function', 'a Clock'. */
  readonly allowed: string;
  readonly defaultText: string;
  readonly default: T;
  readonly accepts: (value: unknown) => boolean;
}

/** An object or function that is handed over: a clock, a logger, a callback. `T` may include undefined. */
export function value<T>(spec: ValueSpec<T>): OptionRow<T> {
  const { allowed, defaultText, default: given, accepts } = spec;
  return Object.freeze({
    ...common(spec),
    ...{ unit: '', allowed, range: allowed, defaultText, defaultValue: given, derived: undefined },
    accepts: (one: unknown): one is T => accepts(one),
    read: undefined,
  });
}

export const isFunction = (value: unknown): boolean => typeof value === 'function';
