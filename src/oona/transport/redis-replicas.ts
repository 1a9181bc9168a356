import type { Clock } from '../../core/clock.ts';
import { TransportError } from '../errors.ts';
import type { CallBounds, InFlightCall } from './in-flight.ts';
import { encodeCommand } from './redis-wire.ts';

/** WAIT holds up everything sent after it on its connection, so it must not wait long for a replica that is away. */
const LONGEST_WAIT_MS = 100;
/** Not worth another WAIT. The server ends one up to 100 ms late, so the deadline may come first: see `confirm`. */
const VERDICT_MS = 20;

interface Waiting {
  readonly call: InFlightCall<unknown>;
  readonly reply: unknown;
}

/**
 * Holds back the answers of writes until replicas have them. One WAIT confirms all that was answered before it was
 * sent, so the cost is one round trip to the replicas for as many appends as came meanwhile.
 */
export class ReplicaWaits {
  readonly #clock: Clock;
  readonly #label: string;
  readonly #send: (wire: Buffer, onReply: (reply: unknown) => void, onError: (error: Error) => void) => void;
  #waiting: Waiting[] = [];
  #asking = false;

  /** `send` writes to the connection that the writes went to: WAIT counts for the writes of its own connection. */
  constructor(
    clock: Clock,
    label: string,
    send: (wire: Buffer, onReply: (reply: unknown) => void, onError: (error: Error) => void) => void,
  ) {
    this.#clock = clock;
    this.#label = label;
    this.#send = send;
  }

  /** `call` succeeds with `reply` once `call.bounds.replicas` replicas have what was written up to now. */
  confirm(call: InFlightCall<unknown>, reply: unknown): void {
    // The primary has answered: whatever becomes of the WAIT, a passed deadline means that replicas have not.
    call.expiredError = () => this.#tooFew(call.bounds, 0);
    this.#waiting.push({ call, reply });
    this.#ask();
  }

  #ask(): void {
    if (this.#asking) return;
    const asked = this.#waiting.filter(({ call }) => call.live);
    this.#waiting = [];
    if (asked.length === 0) return;
    const replicas = Math.max(...asked.map(({ call }) => call.bounds.replicas ?? 0));
    const leftMs = Math.min(...asked.map(({ call }) => this.#leftMs(call)));
    const waitMs = Math.ceil(Math.min(LONGEST_WAIT_MS, Math.max(1, leftMs - VERDICT_MS)));
    this.#asking = true;
    this.#send(
      encodeCommand(['WAIT', String(replicas), String(waitMs)]),
      (count) => {
        this.#asking = false;
        for (const one of asked) this.#judge(one, Number(count));
        this.#ask();
      },
      (error) => {
        this.#asking = false;
        for (const { call } of asked) call.fail(error);
        this.#ask();
      },
    );
  }

  #judge(one: Waiting, count: number): void {
    const { call, reply } = one;
    const { replicas = 0 } = call.bounds;
    call.expiredError = () => this.#tooFew(call.bounds, count);
    if (count >= replicas) call.succeed(reply);
    else if (this.#leftMs(call) > VERDICT_MS) this.#waiting.push(one);
    else call.fail(this.#tooFew(call.bounds, count));
  }

  #tooFew({ what, deadlineMs, replicas }: CallBounds, count: number): TransportError {
    const text =
      `${what}: ${this.#label} has it, but within ${deadlineMs} ms on ${count} of ${replicas} replicas ` +
      '(waitReplicas); bring the replicas back';
    return new TransportError('ESPER_OONA_NOT_REPLICATED', text, { retryable: true });
  }

  #leftMs(call: InFlightCall<unknown>): number {
    return call.startedAtMs + call.bounds.deadlineMs - this.#clock.monotonicMs();
  }
}
