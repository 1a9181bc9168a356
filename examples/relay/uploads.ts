import type { IncomingMessage } from 'node:http';
import { PipelineError } from '../../src/pipeline/index.ts';

const RETRY_AFTER_MS = 1000;

/** The client went away in the middle of its body. */
export class ClientGoneError extends Error {}

/** Read in one turn of the event loop, all uploads together. */
const TURN_BYTES = 2 ** 21;

/**
 * Keeps turns of the event loop short. Without it libuv reads 2 MiB from every connection before anything else may run:
 * with 24 of them a tenth of the memory fills up before the one who watches it can say so.
 */
class Turns {
  readonly #paused = new Set<IncomingMessage>();
  #bytes = 0;
  #isScheduled = false;

  read(request: IncomingMessage, bytes: number): void {
    this.#bytes += bytes;
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      setImmediate(() => this.#next());
    }
    if (this.#bytes < TURN_BYTES) return;
    request.pause();
    this.#paused.add(request);
  }

  /** It is nobody's business here any more. */
  forget(request: IncomingMessage): void {
    this.#paused.delete(request);
  }

  #next(): void {
    this.#isScheduled = false;
    this.#bytes = 0;
    for (const request of this.#paused) request.resume();
    this.#paused.clear();
  }
}

class Upload {
  readonly #turns: Turns;
  readonly #request: IncomingMessage;
  readonly #resolve: (body: Buffer) => void;
  readonly #reject: (error: Error) => void;
  #body: Buffer | undefined;
  #at = 0;

  constructor(
    turns: Turns,
    request: IncomingMessage,
    sizeBytes: number,
    resolve: (body: Buffer) => void,
    reject: (error: Error) => void,
  ) {
    this.#turns = turns;
    this.#request = request;
    this.#resolve = resolve;
    this.#reject = reject;
    // Of its size from the start: what is collected in pieces is there twice when they are put together.
    this.#body = Buffer.allocUnsafeSlow(sizeBytes);
    request.on('data', this.#onData);
    request.on('end', this.#onEnd);
    request.on('close', this.#onClose);
  }

  end(error?: Error): void {
    const body = this.#body;
    if (body === undefined) return;
    // Nothing else has it: what was read goes with the next collection of garbage, although the request lives on.
    this.#body = undefined;
    this.#turns.forget(this.#request);
    this.#request.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
    if (error === undefined) {
      this.#resolve(body);
      return;
    }
    this.#request.pause();
    this.#reject(error);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#body === undefined) return;
    this.#at += chunk.copy(this.#body, this.#at);
    this.#turns.read(this.#request, chunk.length);
  };

  readonly #onEnd = (): void => this.end();

  readonly #onClose = (): void => this.end(new ClientGoneError('the client closed the connection'));
}

/** Bodies that are being read. What is not all here yet can be refused as well as if it had never begun. */
export class Uploads {
  /** In the order they began. */
  readonly #open = new Set<Upload>();
  readonly #turns = new Turns();
  readonly #closedFor = new Set<{ readonly why: string }>();

  get open(): number {
    return this.#open.size;
  }

  /** Takes no new ones until the returned function is called. */
  close(why: string): () => void {
    const reason = { why };
    this.#closedFor.add(reason);
    return () => void this.#closedFor.delete(reason);
  }

  /** Throws what a request is refused with now: before the first byte of its body, when it costs no memory yet. */
  admit(): void {
    for (const { why } of this.#closedFor) throw refusal(why);
  }

  /** The body of `sizeBytes`, which the parser of HTTP holds the client to. Rejects when it is called off. */
  read(request: IncomingMessage, sizeBytes: number): Promise<Buffer> {
    let upload: Upload | undefined;
    const body = new Promise<Buffer>((resolve, reject) => {
      upload = new Upload(this.#turns, request, sizeBytes, resolve, reject);
      this.#open.add(upload);
    });
    return body.finally(() => this.#open.delete(upload as Upload));
  }

  /** Refuses all but the oldest `keep`: those are the nearest to their end. */
  callOff(keep: number, why: string): void {
    for (const upload of [...this.#open].slice(keep)) upload.end(refusal(why));
  }
}

function refusal(why: string): PipelineError {
  return new PipelineError('ESPER_PIPELINE_REFUSED', why, { retryAfterMs: RETRY_AFTER_MS });
}
