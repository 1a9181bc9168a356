import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isTransportError } from '../errors.ts';
import type { CallBounds } from './in-flight.ts';
import type { RedisConnection } from './redis-connection.ts';
import { type CommandHead, commandHead, encodeCommand, wireText } from './redis-wire.ts';

/** A Lua file of src/oona/lua, whose name ends in its number of keys: `append-2.lua`. */
export class RedisScript {
  readonly #source: string;
  readonly #evalSha: CommandHead;
  readonly #eval: CommandHead;

  /** Reads the file; throws when it is missing. */
  constructor(name: string) {
    const source = readFileSync(new URL(`../lua/${name}.lua`, import.meta.url), 'utf8');
    this.#source = wireText(source);
    const sha1 = createHash('sha1').update(source).digest('hex');
    const keyCount = /\d+$/.exec(name)?.[0] ?? '0';
    this.#evalSha = commandHead(['EVALSHA', sha1, keyCount]);
    this.#eval = commandHead(['EVAL', this.#source, keyCount]);
  }

  /** Makes the server know the script and compile it, so that the first run is one round trip too. */
  async load(connection: RedisConnection, bounds: CallBounds): Promise<void> {
    await connection.send(bounds, 'script', encodeCommand(['SCRIPT', 'LOAD', this.#source]));
  }

  /** One round trip; the source travels only when the server does not know it yet. Resolves with what `read` makes. */
  run<T>(
    connection: RedisConnection,
    bounds: CallBounds,
    keysAndArgs: readonly (string | Uint8Array)[],
    read: (reply: unknown) => T,
  ): Promise<T> {
    const wire = encodeCommand(keysAndArgs, this.#evalSha);
    return connection.send(bounds, 'evalsha', wire).then(read, (error: unknown) => {
      if (!isTransportError(error) || !error.message.includes('"NOSCRIPT')) throw error;
      const whole = encodeCommand(keysAndArgs, this.#eval);
      return connection.send(bounds, 'eval', whole).then(read);
    });
  }
}
