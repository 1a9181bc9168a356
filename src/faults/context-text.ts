/**
 * Makes text of what a report carries: values of any kind, bounded in number, depth and length, with secrets masked.
 * Nothing that a context does (a getter that throws, a cycle, a proxy, 38 MB in a buffer) reaches whoever reports.
 */
import { isSecretKey, MASKED, maskText } from './masking.ts';

/** Of the characters of one event's context, keys and values together. */
export const MAX_CONTEXT_LENGTH = 8192;
export const MAX_CONTEXT_KEYS = 32;
export const MAX_VALUE_LENGTH = 1024;
const MAX_KEY_LENGTH = 64;
const MAX_DEPTH = 4;
const MAX_MEMBERS = 16;

/** Text up to `length` characters, masked; says how much was cut. Well-formed: a lone surrogate is no UTF-8. */
export function cutText(text: string, length: number): string {
  if (text.length <= length) return maskText(text).toWellFormed();
  const kept = maskText(text.slice(0, length), true).toWellFormed();
  return `${kept}… (${text.length - length} more characters)`;
}

/** A frozen record of texts. Never throws. */
export function contextText(context: unknown): Readonly<Record<string, string>> {
  if (typeof context !== 'object' || context === null) return NONE;
  const entries: [string, string][] = [];
  try {
    addEntries(context, entries);
  } catch (error) {
    entries.push(['…', thrown(error)]);
  }
  // fromEntries defines the keys, so that one called __proto__ is a key like any other.
  return Object.freeze(Object.fromEntries(entries));
}

const NONE: Readonly<Record<string, string>> = Object.freeze({});

function addEntries(context: object, entries: [string, string][]): void {
  const keys = Object.keys(context);
  let left = MAX_CONTEXT_LENGTH;
  for (const [at, key] of keys.entries()) {
    if (at >= MAX_CONTEXT_KEYS || left <= 0) {
      entries.push(['…', `${keys.length - at} more keys`]);
      return;
    }
    const name = cutText(key, MAX_KEY_LENGTH);
    const text = memberText(context, key, Math.min(left, MAX_VALUE_LENGTH));
    entries.push([name, text]);
    left -= name.length + text.length;
  }
}

/** Of a top-level value: strings stand as they are, everything else as JSON would have it, or nearly. */
function memberText(owner: object, key: string, length: number): string {
  try {
    const value: unknown = Reflect.get(owner, key);
    if (isSecretKey(key, value)) return MASKED;
    if (typeof value === 'string') return cutText(value, length);
    return new ValueText(length).of(value);
  } catch (error) {
    return thrown(error);
  }
}

function thrown(error: unknown): string {
  try {
    return `(threw: ${cutText(error instanceof Error ? String(error.message) : String(error), 200)})`;
  } catch {
    return '(threw)';
  }
}

/** One value as text; stops in the middle of it once that is long enough. */
class ValueText {
  readonly #length: number;
  readonly #path = new Set<object>();
  #text = '';

  constructor(length: number) {
    this.#length = length;
  }

  of(value: unknown): string {
    this.#add(value, 0);
    return this.#text.length > this.#length
      ? `${maskText(this.#text.slice(0, this.#length), true).toWellFormed()}… (cut)`
      : cutText(this.#text, this.#length);
  }

  #add(value: unknown, depth: number): void {
    if (this.#text.length > this.#length) return;
    if (typeof value === 'string') this.#text += depth === 0 ? value : quoted(value, this.#length);
    else if (typeof value === 'function') this.#text += '(function)';
    else if (typeof value !== 'object' || value === null) this.#text += String(value);
    else this.#addObject(value, depth);
  }

  #addObject(value: object, depth: number): void {
    const short = shortText(value);
    if (short !== undefined) this.#text += cutText(short, this.#length);
    else if (this.#path.has(value)) this.#text += '(cycle)';
    else if (depth >= MAX_DEPTH) this.#text += Array.isArray(value) ? '[…]' : '{…}';
    else {
      this.#path.add(value);
      if (Array.isArray(value)) this.#addArray(value, depth);
      else if (value instanceof Map) this.#addPairs(value.entries(), value.size, depth);
      else if (value instanceof Set) this.#addArray([...firstOf(value.values())], depth, value.size);
      else this.#addMembers(value, depth);
      this.#path.delete(value);
    }
  }

  #addArray(values: readonly unknown[], depth: number, length = values.length): void {
    this.#text += '[';
    for (let at = 0; at < length && at < MAX_MEMBERS && this.#text.length <= this.#length; at++) {
      if (at > 0) this.#text += ',';
      // Headers as Node has them raw, and pairs: a name, then its value.
      if (isSecretName(values, at - 1)) this.#text += `"${MASKED}"`;
      else this.#addMember(values, String(at), depth);
    }
    this.#text += length > MAX_MEMBERS ? `,… ${length - MAX_MEMBERS} more]` : ']';
  }

  #addPairs(pairs: Iterable<[unknown, unknown]>, size: number, depth: number): void {
    const named = [...firstOf(pairs)].map(([key, value], at) => [
      typeof key === 'object' ? `(key ${at})` : String(key),
      value,
    ]);
    this.#addMembers(Object.fromEntries(named), depth, size);
  }

  #addMembers(value: object, depth: number, given?: number): void {
    const keys = Object.keys(value);
    const count = given ?? keys.length;
    this.#text += '{';
    for (const [at, key] of keys.entries()) {
      if (at >= MAX_MEMBERS || this.#text.length > this.#length) break;
      if (at > 0) this.#text += ',';
      this.#text += `${quoted(key, MAX_KEY_LENGTH)}:`;
      this.#addMember(value, key, depth);
    }
    this.#text += count > MAX_MEMBERS ? `,… ${count - MAX_MEMBERS} more}` : '}';
  }

  #addMember(owner: object, key: string, depth: number): void {
    try {
      const member: unknown = Reflect.get(owner, key);
      if (!Array.isArray(owner) && isSecretKey(key, member)) this.#text += `"${MASKED}"`;
      else this.#add(member, depth + 1);
    } catch (error) {
      this.#text += thrown(error);
    }
  }
}

/** Masked before it stands among others, cut before it is quoted: a string of 1 MB costs no more than a short one. */
function quoted(text: string, length: number): string {
  return JSON.stringify(cutText(text, length));
}

function isSecretName(values: readonly unknown[], at: number): boolean {
  const name = values[at];
  return typeof name === 'string' && name.length <= MAX_KEY_LENGTH && isSecretKey(name, '');
}

/** Of what is no plain collection; undefined for the rest. */
function shortText(value: object): string | undefined {
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
  if (value instanceof RegExp) return String(value);
  if (value instanceof URL) return value.href;
  if (ArrayBuffer.isView(value)) return `(${value.constructor.name}, ${value.byteLength} bytes)`;
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer)
    return `(${value.constructor.name}, ${value.byteLength} bytes)`;
  if (value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet)
    return `(${value.constructor.name})`;
  return undefined;
}

function* firstOf<T>(values: Iterable<T>): Iterable<T> {
  let left = MAX_MEMBERS;
  for (const value of values) {
    if (left-- === 0) return;
    yield value;
  }
}
