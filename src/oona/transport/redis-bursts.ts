import type { Socket } from 'node:net';
import type { Redis } from 'ioredis';
import type { WireCommand } from './redis-wire.ts';

/**
 * Writes commands to a connection. The first of a turn of the event loop leaves at once; those that follow in the same
 * turn leave together at its end, by one system call instead of one each: of a hundred publishes in flight the calls
 * cost as much as all the rest. What is urgent leaves at once whatever came before it, with all of that: the turn may be
 * a long one. Over TLS the first is held too: Node encrypts one write at a time, and an urgent one behind it would wait
 * for the next turn.
 */
export class BurstWriter {
  /** Of the turn that goes on; undefined between turns. */
  #stream: Socket | undefined;
  #corked = false;
  readonly #endTurn = (): void => {
    this.#flush();
    this.#stream = undefined;
  };

  write(client: Redis, command: WireCommand, urgent: boolean): void {
    const stream = client.stream as Socket;
    const isFirst = this.#stream !== stream;
    if (isFirst) this.#beginTurn(stream);
    if (!this.#corked && (!isFirst || 'encrypted' in stream)) {
      this.#corked = true;
      stream.cork();
    }
    client.sendCommand(command);
    if (urgent) this.#flush();
  }

  #beginTurn(stream: Socket): void {
    // Of a connection that was replaced within this turn: nobody else would let go of what it holds.
    this.#flush();
    if (this.#stream === undefined) process.nextTick(this.#endTurn);
    this.#stream = stream;
  }

  #flush(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.#stream?.uncork();
  }
}
