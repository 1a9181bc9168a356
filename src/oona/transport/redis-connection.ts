import { Redis } from 'ioredis';
import { backoffDelayMs } from '../../core/backoff.ts';
import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import type { Random } from '../../core/random.ts';
import { closedError, TransportError } from '../errors.ts';
import { type CallBounds, type InFlightCall, InFlightCalls } from './in-flight.ts';
import { isReplyError, toTransportError } from './redis-errors.ts';
import type { RedisAddress } from './redis-url.ts';
import { WireCommand } from './redis-wire.ts';

export interface RedisConnectionOptions {
  readonly address: RedisAddress;
  /** Shown by CLIENT LIST. Naming the client also makes "ready" mean that the server has answered once. */
  readonly name: string;
  /** Bound on connecting until the server has answered, milliseconds. */
  readonly connectTimeoutMs: number;
  /** A connection that owes an answer this long is dropped when a call expires, milliseconds. */
  readonly stallMs: number;
  readonly reconnectBaseMs: number;
  readonly reconnectCapMs: number;
  /** Reconnect in the background, failing fast meanwhile; false: every call may connect at once. */
  readonly eager: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface RunOptions extends CallBounds {
  /**
   * For blocking reads: an expired or aborted one drops the client, because whatever it still gets handed would wait
   * unseen in the pending list and everything sent after it would wait behind it.
   */
  readonly exclusive?: boolean;
}

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting'; readonly client: Redis; readonly ready: Promise<Redis> }
  | { readonly kind: 'ready'; readonly client: Redis }
  | { readonly kind: 'waiting'; readonly error: TransportError }
  | { readonly kind: 'closed' };

/**
 * One connection that is made again when it breaks. Each ioredis client is used for one socket and never reconnects
 * by itself: its own retries resend commands whose caller has given up, and can leave promises unsettled for ever.
 */
export class RedisConnection {
  readonly #options: RedisConnectionOptions;
  readonly #calls: InFlightCalls;
  readonly #closing = new AbortController();
  #state: State = { kind: 'idle' };
  #failures = 0;
  /** When the oldest command was sent since the server last answered anything. */
  #unansweredSinceMs: number | undefined;

  constructor(options: RedisConnectionOptions) {
    this.#options = options;
    this.#calls = new InFlightCalls(options.clock, ({ bounds }) => this.#expired(bounds));
  }

  get ready(): boolean {
    return this.#state.kind === 'ready';
  }

  /** Rejects with TransportError; settles within the deadline whatever the server does. */
  run<T>(options: RunOptions, command: (client: Redis) => Promise<T>): Promise<T> {
    if (this.#state.kind === 'closed') return Promise.reject(closedError(options.what));
    const onAborted = options.exclusive
      ? () => this.#dropCurrent(new TransportError('ESPER_OONA_ABORTED', `${options.what}: aborted`))
      : undefined;
    const call = this.#calls.open<T>(options, onAborted);
    if (call.live)
      this.#perform(call, command).then(
        (value) => call.succeed(value),
        (error) => call.fail(error),
      );
    return call.promise;
  }

  /** As `run`, by the shortest way, for a command that is already encoded. */
  send(bounds: CallBounds, name: string, wire: Buffer): Promise<unknown> {
    if (this.#state.kind !== 'ready') return this.run(bounds, (client) => sendWire(client, name, wire));
    const { client } = this.#state;
    const call = this.#calls.open(bounds);
    if (!call.live) return call.promise;
    this.#unansweredSinceMs ??= call.startedAtMs;
    const command = new WireCommand(
      name,
      wire,
      (reply) => {
        this.#answered();
        call.succeed(reply);
      },
      (error) => call.fail(this.#failed(client, error, bounds.what)),
    );
    client.sendCommand(command);
    return call.promise;
  }

  /** Idempotent. Calls in flight reject with ESPER_OONA_CLOSED. */
  close(): void {
    const state = this.#state;
    if (state.kind === 'closed') return;
    this.#state = { kind: 'closed' };
    this.#closing.abort();
    this.#calls.failAll(closedError('oona'));
    this.#calls.close();
    if (state.kind === 'connecting' || state.kind === 'ready') discard(state.client);
  }

  async #perform<T>(call: InFlightCall<T>, command: (client: Redis) => Promise<T>): Promise<T> {
    const { what } = call.bounds;
    const client = this.#state.kind === 'ready' ? this.#state.client : await this.#connected(what);
    // A call that expired while connecting must not be sent: its caller was told that it failed.
    if (!call.live) throw closedError(what);
    this.#unansweredSinceMs ??= this.#options.clock.monotonicMs();
    try {
      const answer = await command(client);
      this.#answered();
      return answer;
    } catch (error) {
      throw this.#failed(client, error, what);
    }
  }

  #failed(client: Redis, error: unknown, what: string): TransportError {
    if (isReplyError(error)) this.#answered();
    const typed = this.#typed(error, what);
    if (typed.code === 'ESPER_OONA_READONLY') this.#lost(client, typed);
    return typed;
  }

  #answered(): void {
    this.#unansweredSinceMs = undefined;
    this.#failures = 0;
  }

  #connected(what: string): Promise<Redis> {
    const state = this.#state;
    if (state.kind === 'ready') return Promise.resolve(state.client);
    if (state.kind === 'connecting') return state.ready;
    if (state.kind === 'waiting') return Promise.reject(state.error);
    if (state.kind === 'closed') return Promise.reject(closedError(what));
    return this.#connect();
  }

  #connect(): Promise<Redis> {
    const client = openClient(this.#options);
    const settled = new AbortController();
    let cause: unknown = new Error('the connection was closed');
    const ready = new Promise<Redis>((resolve, reject) => {
      client.on('error', (error: unknown) => {
        // Ending the client makes it report more errors, which say less than the server's own.
        if (!isReplyError(cause)) cause = error;
        // ioredis only reports a refused SELECT and becomes ready: we would go on in database 0.
        if (isReplyError(error)) discard(client);
      });
      client.once('ready', () => {
        if (!isReplyError(cause)) resolve(client);
      });
      client.once('end', () => {
        const error = this.#typed(cause, 'connect');
        reject(error);
        settled.abort();
        this.#lost(client, error);
      });
    });
    this.#state = { kind: 'connecting', client, ready };
    this.#dropWhenSilent(client, settled.signal);
    ready.then(
      () => {
        settled.abort();
        if (this.#state.kind === 'connecting' && this.#state.client === client)
          this.#state = { kind: 'ready', client };
      },
      () => undefined,
    );
    // Its outcome comes by the events: the promise alone can miss a failed handshake.
    client.connect().catch(() => undefined);
    return ready;
  }

  #dropWhenSilent(client: Redis, settled: AbortSignal): void {
    const { clock, connectTimeoutMs, address } = this.#options;
    clock.sleep(connectTimeoutMs, settled).then(
      () => {
        const text = `connect: ${address.masked} did not answer within ${connectTimeoutMs} ms (connectTimeoutMs)`;
        this.#lost(client, new TransportError('ESPER_OONA_DISCONNECTED', text, { retryable: true }));
      },
      () => undefined,
    );
  }

  #expired(options: RunOptions): Error {
    const { clock, stallMs, address } = this.#options;
    const text =
      `${options.what}: no answer from ${address.masked} within ${options.deadlineMs} ms; ` +
      'raise the deadline (deadlineMs, publishDeadlineMs) if the server is only slow';
    const error = new TransportError('ESPER_OONA_TIMEOUT', text, { retryable: true });
    const silentMs = clock.monotonicMs() - (this.#unansweredSinceMs ?? Number.POSITIVE_INFINITY);
    // A socket to a host that vanished reports nothing for many minutes.
    if (options.exclusive || silentMs >= stallMs) this.#dropCurrent(error);
    return error;
  }

  #dropCurrent(error: TransportError): void {
    const state = this.#state;
    if (state.kind === 'ready' || state.kind === 'connecting') this.#lost(state.client, error);
  }

  /** Moves on from `client`, unless something else already has. */
  #lost(client: Redis, error: TransportError): void {
    discard(client);
    const state = this.#state;
    if ((state.kind !== 'ready' && state.kind !== 'connecting') || state.client !== client) return;
    this.#unansweredSinceMs = undefined;
    const failures = this.#failures++;
    // The 1st, 2nd, 4th, 8th … in a row: a Redis that is away for a night must not fill the log.
    if ((failures & (failures + 1)) === 0 && error.code !== 'ESPER_OONA_ABORTED') {
      const fields = { code: error.code, connection: this.#options.name, failures: failures + 1 };
      this.#options.logger.warn(fields, error.message);
    }
    this.#state = this.#options.eager ? this.#reconnectLater(failures, error) : { kind: 'idle' };
  }

  #reconnectLater(failures: number, error: TransportError): State {
    const waiting: State = { kind: 'waiting', error };
    const { clock, random, reconnectBaseMs, reconnectCapMs } = this.#options;
    const delayMs = backoffDelayMs(failures, { baseMs: reconnectBaseMs, capMs: reconnectCapMs }, random);
    clock.sleep(delayMs, this.#closing.signal).then(
      () => {
        if (this.#state === waiting) this.#connect().catch(() => undefined);
      },
      () => undefined,
    );
    return waiting;
  }

  #typed(error: unknown, what: string): TransportError {
    return toTransportError(error, what, this.#options.address.masked);
  }
}

function sendWire(client: Redis, name: string, wire: Buffer): Promise<unknown> {
  return new Promise((resolve, reject) => {
    client.sendCommand(new WireCommand(name, wire, resolve, reject));
  });
}

function openClient(options: RedisConnectionOptions): Redis {
  const { address } = options;
  return new Redis({
    host: address.host,
    port: address.port,
    db: address.db,
    ...(address.username === undefined ? {} : { username: address.username }),
    ...(address.password === undefined ? {} : { password: address.password }),
    ...(address.tls ? { tls: {} } : {}),
    connectionName: options.name,
    connectTimeout: options.connectTimeoutMs,
    // RESP2 has one shape per reply whatever the server's version.
    protocol: 2,
    lazyConnect: true,
    enableOfflineQueue: false,
    // A server that is loading says so by LOADING, which reaches the caller at once.
    enableReadyCheck: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: null,
    retryStrategy: null,
    disableClientInfo: true,
  });
}

/** Ends a client for good; its unanswered commands reject. */
function discard(client: Redis): void {
  client.disconnect(false);
  // `disconnect` waits for the server's half of the close, which a stopped server never sends.
  client.stream?.destroy();
}
