import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isTransportError } from '../errors.ts';
import type { CallBounds } from './in-flight.ts';
import { LUA_SCRIPTS, type LuaScript, type LuaScriptName } from './lua-scripts.ts';
import type { RedisLink } from './redis-link.ts';
import { type CommandHead, commandHead, encodeCommand, wireText } from './redis-wire.ts';

function readLua(name: string): string {
  return readFileSync(new URL(`../lua/${name}.lua`, import.meta.url), 'utf8');
}

/** The text of a script with the libraries that its `-- include <name>` lines ask for. Throws when a file is missing. */
export function luaSource(name: string): string {
  return readLua(name).replace(/^-- include ([\w-]+)$/gm, (_, library: string) => readLua(library).trimEnd());
}

/** A Lua file of src/oona/lua, whose name ends in its number of keys: `append-2.lua`. */
export class RedisScript {
  readonly #name: string;
  readonly #source: string;
  readonly #sha1: string;
  readonly #evalSha: CommandHead;
  readonly #keyCount: number;
  readonly #least: number;
  readonly #most: number;

  /** Reads the file; throws when it is missing. */
  constructor(name: LuaScriptName) {
    const { keys, args, rest, restKeys }: LuaScript = LUA_SCRIPTS[name];
    this.#name = name;
    this.#least = keys.length + args.length;
    const isOpen = rest !== undefined || restKeys !== undefined;
    this.#most = isOpen ? Number.POSITIVE_INFINITY : this.#least;
    this.#keyCount = keys.length;
    const source = luaSource(name);
    this.#source = wireText(source);
    this.#sha1 = createHash('sha1').update(source).digest('hex');
    this.#evalSha = commandHead(['EVALSHA', this.#sha1, String(keys.length)]);
  }

  /** Makes every server know the script and compile it, so that the first run is one round trip too. */
  async load(link: RedisLink, bounds: CallBounds): Promise<void> {
    const wire = encodeCommand(['SCRIPT', 'LOAD', this.#source]);
    await link.everywhere(bounds, (node, rest) => node.send(rest, 'script', wire));
  }

  /**
   * One round trip; the source travels only when the server does not know it yet. `bounds.key` is the stream as its
   * name says, the others lie in its hash slot. Resolves with what `read` makes of the reply. `keyCount` is for scripts
   * with any number of keys.
   */
  run<T>(
    link: RedisLink,
    bounds: CallBounds & { readonly key: string },
    keysAndArgs: readonly (string | Uint8Array)[],
    read: (reply: unknown) => T,
    keyCount = this.#keyCount,
  ): Promise<T> {
    const count = keysAndArgs.length;
    if (count < this.#least || count > this.#most) {
      throw new RangeError(`${this.#name}: ${count} keys and arguments instead of ${this.#least}`);
    }
    const isUsual = keyCount === this.#keyCount;
    const head = isUsual ? this.#evalSha : commandHead(['EVALSHA', this.#sha1, String(keyCount)]);
    const wire = encodeCommand(keysAndArgs, head);
    return link.send(bounds, 'evalsha', wire).then(read, (error: unknown) => {
      if (!isTransportError(error) || !error.message.includes('"NOSCRIPT')) throw error;
      const whole = encodeCommand(keysAndArgs, commandHead(['EVAL', this.#source, String(keyCount)]));
      return link.send(bounds, 'eval', whole).then(read);
    });
  }
}
