import type { CallBounds } from './in-flight.ts';

export interface RunOptions extends CallBounds {
  /**
   * For blocking reads: an expired or aborted one drops the client, because whatever it still gets handed would wait
   * unseen in the pending list and everything sent after it would wait behind it.
   */
  readonly exclusive?: boolean;
}

export interface SendOptions extends RunOptions {
  /** Called with the client right before the command goes to it, for each try. */
  readonly beforeSend?: (client: RedisCaller) => void;
}

/** What a command is sent with; ioredis's client is one. */
export interface RedisCaller {
  callBuffer(command: string, args: (string | Buffer | number)[]): Promise<unknown>;
}

/** A way to Redis for one purpose: one connection, or one to each node of a Cluster that it needs. */
export interface RedisLink {
  /** True while calls are expected to work. */
  readonly ready: boolean;
  /**
   * Rejects with TransportError; settles within the deadline whatever the servers do. On a Cluster `command` runs again
   * at another node when the first one refuses it (MOVED, ASK).
   */
  run<T>(options: RunOptions, command: (client: RedisCaller) => Promise<T>): Promise<T>;
  /** As `run`, by the shortest way, for a command that is already encoded. */
  send(options: SendOptions, name: string, wire: Buffer): Promise<unknown>;
  /** Whether one Lua call may touch both keys. */
  together(a: string, b: string): boolean;
  /** Once for each server that takes writes; `rest` is what is left of the bounds. */
  everywhere<T>(
    bounds: CallBounds,
    perform: (node: RedisLink, rest: CallBounds) => Promise<T>,
  ): Promise<readonly T[]>;
  /** Idempotent. Calls in flight reject with ESPER_OONA_CLOSED. */
  close(): void;
}

/**
 * ASKING counts for the next command of the same connection, which must be sent without a pause; so what is sent
 * `before` that one has an ASKING of its own.
 */
export function sendAskingAhead(client: RedisCaller, before?: SendOptions['beforeSend']): void {
  before?.(askingCaller(client));
  // Its failure shows in the command behind it.
  client.callBuffer('ASKING', []).catch(() => undefined);
}

/** Sends each command behind ASKING. */
export function askingCaller(client: RedisCaller): RedisCaller {
  return {
    callBuffer(command, args) {
      sendAskingAhead(client);
      return client.callBuffer(command, args);
    },
  };
}
