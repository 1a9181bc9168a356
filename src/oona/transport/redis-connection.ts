import type { Redis } from 'ioredis';
import { backoffDelayMs } from '../../core/backoff.ts';
import { closedError, TransportError } from '../errors.ts';
import { type CallBounds, type InFlightCall, InFlightCalls } from './in-flight.ts';
import { BurstWriter } from './redis-bursts.ts';
import { connectClient, discard, isConnectedTo, openClient } from './redis-client.ts';
import type { RedisConnectionOptions } from './redis-endpoint.ts';
import { isReplyError, toTransportError } from './redis-errors.ts';
import {
  askingCaller,
  type RedisCaller,
  type RedisLink,
  type RunOptions,
  type SendOptions,
  sendAskingAhead,
} from './redis-link.ts';
import { ReplicaWaits } from './redis-replicas.ts';
import type { RedisNode } from './redis-url.ts';
import { WireCommand } from './redis-wire.ts';

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
export class RedisConnection implements RedisLink {
  readonly #options: RedisConnectionOptions;
  readonly #calls: InFlightCalls;
  readonly #closing = new AbortController();
  #state: State = { kind: 'idle' };
  #failures = 0;
  #retired = false;
  readonly #bursts = new BurstWriter();
  #replicaWaits: { readonly client: Redis; readonly waits: ReplicaWaits } | undefined;
  /** When the oldest command was sent since the server last answered anything. */
  #unansweredSinceMs: number | undefined;

  constructor(options: RedisConnectionOptions) {
    this.#options = options;
    this.#calls = new InFlightCalls(options.clock, (call) => this.#expired(call));
  }

  get ready(): boolean {
    return this.#state.kind === 'ready';
  }

  /** Rejects with TransportError; settles within the deadline whatever the server does. */
  run<T>(options: RunOptions, command: (client: RedisCaller) => Promise<T>): Promise<T> {
    if (this.#state.kind === 'closed') return Promise.reject(closedError(options.what));
    const call = this.#open<T>(options);
    if (call.live)
      this.#perform(call, command).then(
        (value) => call.succeed(value),
        (error) => call.fail(error),
      );
    return call.promise;
  }

  /** As `run`, by the shortest way, for a command that is already encoded. */
  send(bounds: SendOptions, name: string, wire: Buffer): Promise<unknown> {
    if (this.#state.kind !== 'ready')
      return this.#becomeReady(bounds).then((rest) => this.send({ ...bounds, ...rest }, name, wire));
    const { client } = this.#state;
    const call = this.#open(bounds);
    if (!call.live) return call.promise;
    this.#unansweredSinceMs ??= call.startedAtMs;
    bounds.beforeSend?.(client);
    const command = new WireCommand(
      name,
      wire,
      (reply) => {
        this.#answered();
        if (bounds.replicas) this.#confirm(client, call, reply);
        else call.succeed(reply);
      },
      (error) => call.fail(this.#failed(client, error, bounds.what)),
    );
    this.#bursts.write(client, command, bounds.urgent === true);
    return call.promise;
  }

  /** As `send`, behind ASKING, with nothing between them: it counts for one command only. */
  async sendAsking(bounds: SendOptions, name: string, wire: Buffer): Promise<unknown> {
    const { beforeSend, ...others }: SendOptions = { ...bounds, ...(await this.#becomeReady(bounds)) };
    // Without its command it would count for the next one of somebody else.
    if (this.#state.kind === 'ready' && !bounds.signal?.aborted)
      sendAskingAhead(this.#state.client, beforeSend);
    return this.send(others, name, wire);
  }

  /** As `run`, each command of it behind ASKING. */
  runAsking<T>(options: RunOptions, command: (client: RedisCaller) => Promise<T>): Promise<T> {
    return this.run(options, (client) => command(askingCaller(client)));
  }

  together(): boolean {
    return true;
  }

  async everywhere<T>(
    bounds: CallBounds,
    perform: (node: RedisLink, rest: CallBounds) => Promise<T>,
  ): Promise<readonly T[]> {
    return [await perform(this, bounds)];
  }

  /** Leaves a server that is not `primary`, because that one takes the writes now; the next attempt asks where it is. */
  leaveFor(primary: RedisNode): void {
    const state = this.#state;
    if (state.kind !== 'ready' && state.kind !== 'connecting') return;
    if (isConnectedTo(state.client, primary)) return;
    const text = `${this.#options.endpoint.label} has another primary now`;
    this.#lost(state.client, new TransportError('ESPER_OONA_READONLY', text, { retryable: true }));
  }

  /** No reconnecting from now on; closes once the calls in flight have their answers. Nobody may call it any more. */
  retire(): void {
    this.#retired = true;
    this.#calls.settled().then(() => this.close());
  }

  /** Idempotent. Calls in flight reject with ESPER_OONA_CLOSED. */
  close(): void {
    const state = this.#state;
    if (state.kind === 'closed') return;
    this.#state = { kind: 'closed' };
    this.#closing.abort();
    this.#options.onClosed?.();
    this.#calls.failAll(closedError('oona'));
    this.#calls.close();
    if (state.kind === 'connecting' || state.kind === 'ready') discard(state.client);
  }

  /** The bounds with what is left of the deadline once there is a connection. */
  async #becomeReady(bounds: CallBounds): Promise<CallBounds> {
    if (this.#state.kind === 'ready') return bounds;
    const { clock } = this.#options;
    const startedAtMs = clock.monotonicMs();
    await this.run(bounds, async () => undefined);
    return { ...bounds, deadlineMs: Math.max(0, startedAtMs + bounds.deadlineMs - clock.monotonicMs()) };
  }

  #open<T>(options: RunOptions): InFlightCall<T> {
    const onAborted = options.exclusive
      ? () => this.#dropCurrent(new TransportError('ESPER_OONA_ABORTED', `${options.what}: aborted`))
      : undefined;
    return this.#calls.open<T>(options, onAborted);
  }

  #confirm(client: Redis, call: InFlightCall<unknown>, reply: unknown): void {
    if (this.#replicaWaits?.client !== client) {
      const waits = new ReplicaWaits(
        this.#options.clock,
        this.#options.endpoint.label,
        (wire, done, failed) => {
          const answered = (count: unknown): void => {
            this.#answered();
            done(count);
          };
          const broke = (error: Error): void => failed(this.#failed(client, error, 'WAIT'));
          client.sendCommand(new WireCommand('wait', wire, answered, broke));
        },
      );
      this.#replicaWaits = { client, waits };
    }
    this.#replicaWaits.waits.confirm(call, reply);
  }

  async #perform<T>(call: InFlightCall<T>, command: (client: RedisCaller) => Promise<T>): Promise<T> {
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
    const { endpoint, name, connectTimeoutMs, onConnecting } = this.#options;
    onConnecting?.();
    const client = openClient(endpoint, name, this.#failures, connectTimeoutMs);
    const settled = new AbortController();
    const ready = new Promise<Redis>((resolve, reject) => {
      this.#lostWhenSilent(client, settled.signal, reject);
      connectClient(client, endpoint, (cause) => this.#lost(client, this.#typed(cause, 'connect'))).then(
        resolve,
        (cause) => reject(this.#typed(cause, 'connect')),
      );
    });
    this.#state = { kind: 'connecting', client, ready };
    ready.then(
      () => {
        settled.abort();
        if (this.#state.kind === 'connecting' && this.#state.client === client)
          this.#state = { kind: 'ready', client };
      },
      () => settled.abort(),
    );
    return ready;
  }

  #lostWhenSilent(client: Redis, settled: AbortSignal, reject: (error: Error) => void): void {
    const { clock, connectTimeoutMs, endpoint } = this.#options;
    clock.sleep(connectTimeoutMs, settled).then(
      () => {
        const hint = endpoint.tls ? '; does the port speak TLS?' : '';
        const text = `connect: ${endpoint.label} did not answer within ${connectTimeoutMs} ms (connectTimeoutMs)${hint}`;
        const error = new TransportError('ESPER_OONA_DISCONNECTED', text, { retryable: true });
        reject(error);
        this.#lost(client, error);
      },
      () => undefined,
    );
  }

  #expired({ bounds, expiredError }: InFlightCall): Error {
    const options: RunOptions = bounds;
    const { clock, stallMs, endpoint } = this.#options;
    const text =
      `${options.what}: no answer from ${endpoint.label} within ${options.deadlineMs} ms; ` +
      'raise the deadline (deadlineMs, publishDeadlineMs) if the server is only slow';
    const error = new TransportError('ESPER_OONA_TIMEOUT', text, { retryable: true });
    const silentMs = clock.monotonicMs() - (this.#unansweredSinceMs ?? Number.POSITIVE_INFINITY);
    // A socket to a host that vanished reports nothing for many minutes.
    if (options.exclusive || silentMs >= stallMs) this.#dropCurrent(error);
    return expiredError?.() ?? error;
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
    this.#state =
      this.#options.eager && !this.#retired ? this.#reconnectLater(failures, error) : { kind: 'idle' };
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
    return toTransportError(error, what, this.#options.endpoint.label);
  }
}
