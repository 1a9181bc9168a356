import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isTransportError } from '../errors.ts';
import type { CallBounds } from './in-flight.ts';
import type { RedisConnection } from './redis-connection.ts';
import { encodeCommand, wireText } from './redis-wire.ts';

/** A Lua file of src/oona/lua, whose name ends in its number of keys: `append-2.lua`. */
export class RedisScript {
  readonly #source: string;
  readonly #sha1: string;
  readonly #keyCount: string;

  /** Reads the file; throws when it is missing. */
  constructor(name: string) {
    const source = readFileSync(new URL(`../lua/${name}.lua`, import.meta.url), 'utf8');
    this.#source = wireText(source);
    this.#sha1 = createHash('sha1').update(source).digest('hex');
    this.#keyCount = /\d+$/.exec(name)?.[0] ?? '0';
  }

  /** Makes the server know the script and compile it, so that the first run is one round trip too. */
  async load(connection: RedisConnection, bounds: CallBounds): Promise<void> {
    await connection.send(bounds, 'script', encodeCommand(['SCRIPT', 'LOAD', this.#source]));
  }

  /** One round trip; the source travels only when the server does not know it yet. */
  run(
    connection: RedisConnection,
    bounds: CallBounds,
    keysAndArgs: readonly (string | Uint8Array)[],
  ): Promise<unknown> {
    const wire = encodeCommand(['EVALSHA', this.#sha1, this.#keyCount, ...keysAndArgs]);
    return connection.send(bounds, 'evalsha', wire).catch((error: unknown) => {
      if (!isTransportError(error) || !error.message.includes('"NOSCRIPT')) throw error;
      const whole = encodeCommand(['EVAL', this.#source, this.#keyCount, ...keysAndArgs]);
      return connection.send(bounds, 'eval', whole);
    });
  }
}
