import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { errorMessage } from '../../src/core/errors.ts';
import type { Logger } from '../../src/core/logger.ts';
import type { PrometheusText } from '../../src/core/prometheus.ts';
import { type Adapter, type AdapterContext, PipelineError, retryAfterOf } from '../../src/pipeline/index.ts';
import type { Books, Outcome } from './books.ts';
import { answerEarly } from './early-answer.ts';
import { Payload } from './payload.ts';
import { ClientGoneError, type Uploads } from './uploads.ts';

export interface IntakeParts {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  readonly maxPayloadBytes: number;
  readonly uploads: Uploads;
  readonly books: Books;
  readonly logger: Logger;
  readonly metrics: () => Promise<PrometheusText>;
  readonly state: () => object;
  readonly onListening: (address: AddressInfo) => void;
}

const ID = /^[\w-]{1,64}$/;
const DEFAULT_RETRY_MS = 1000;
/** For all of a request: a body that trickles in holds its memory all the while. */
const REQUEST_MS = 120_000;
/** At the end of the relay: how long a client has to read its answer. */
const LINGER_MS = 2000;
const SWEEP_MS = 20;

class BadRequest extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

interface Answer {
  readonly status: number;
  readonly outcome: Outcome;
  readonly text: string;
  readonly retryAfterMs?: number;
}

/** HTTP intake: POST /payloads, and the endpoints that tell how the relay is, which no degradation touches. */
export class Intake implements Adapter<Payload> {
  readonly name = 'http';
  readonly #parts: IntakeParts;
  readonly #underWay = new Set<Promise<unknown>>();
  #app: FastifyInstance | undefined;
  #reopen: (() => void) | undefined;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  async start(context: AdapterContext<Payload>): Promise<void> {
    const { host, port, onListening } = this.#parts;
    // While it closes, it answers by itself: fastify's own 503 has no Retry-After.
    const app = fastify({
      return503OnClosing: false,
      forceCloseConnections: false,
      requestTimeout: REQUEST_MS,
    });
    this.#app = app;
    this.#reopen?.();
    // The body is read by the handler, once it may be: fastify would have read it all before anybody was asked.
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', (_request, _body, done) => done(null));
    app.post('/payloads', (request, reply) => this.#take(context, request, reply));
    this.#addTelling(app);
    // A client that asks before it sends is asked for the body by the handler alone.
    app.server.on('checkContinue', (request, response) => app.server.emit('request', request, response));
    await app.listen({ host, port });
    onListening(app.server.address() as AddressInfo);
  }

  /** What is not all here is refused; what is gets its answer. Then the connections are given time to read it. */
  async stop(signal: AbortSignal): Promise<void> {
    const app = this.#app;
    if (app === undefined) return;
    this.#app = undefined;
    const { uploads } = this.#parts;
    this.#reopen = uploads.close('the relay stops');
    uploads.callOff(0, 'the relay stops');
    const { server } = app;
    const closed = app.close();
    await Promise.race([this.#answered(), aborted(signal)]);
    const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
    const cut = (): void => server.closeAllConnections();
    const linger = setTimeout(cut, LINGER_MS);
    if (signal.aborted) cut();
    else signal.addEventListener('abort', cut, { once: true });
    try {
      await closed;
    } finally {
      clearInterval(sweep);
      clearTimeout(linger);
      signal.removeEventListener('abort', cut);
    }
  }

  #addTelling(app: FastifyInstance): void {
    const { metrics, state } = this.#parts;
    app.get('/healthz', async () => ({ status: 'ok' }));
    app.get('/state', async () => state());
    app.get('/metrics', async (_request, reply) => {
      const { contentType, text } = await metrics();
      return reply.header('content-type', contentType).send(text);
    });
  }

  async #take(context: AdapterContext<Payload>, request: FastifyRequest, reply: FastifyReply) {
    const { books, logger } = this.#parts;
    const given = request.headers['x-payload-id'];
    const id = typeof given === 'string' ? given : randomUUID();
    books.received();
    const delivery = this.#deliver(context, request, reply, id).catch(answerOf);
    this.#underWay.add(delivery);
    const answer = await delivery;
    this.#underWay.delete(delivery);
    const { status, outcome, text, retryAfterMs } = answer;
    books.ended(outcome);
    logger[outcome === 'delivered' ? 'info' : 'warn']({ payload: id, outcome, status }, text);
    const headers: Record<string, string> = { 'content-type': 'application/json; charset=utf-8' };
    if (retryAfterMs !== undefined) headers['retry-after'] = `${Math.max(1, Math.ceil(retryAfterMs / 1000))}`;
    const body = JSON.stringify({ id, outcome, text });
    if (request.raw.complete) return reply.status(status).headers(headers).send(body);
    reply.hijack();
    return answerEarly(request.raw, reply.raw, { status, headers, body });
  }

  async #answered(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  async #deliver(
    context: AdapterContext<Payload>,
    request: FastifyRequest,
    reply: FastifyReply,
    id: string,
  ): Promise<Answer> {
    const { uploads, maxPayloadBytes } = this.#parts;
    const { headers, raw } = request;
    if (!ID.test(id)) throw new BadRequest(400, 'x-payload-id: 1-64 letters, digits, _ -');
    if (headers['content-length'] === undefined) throw new BadRequest(411, 'content-length is needed');
    const sizeBytes = Number(headers['content-length']);
    if (sizeBytes === 0) throw new BadRequest(400, 'there is no payload');
    if (sizeBytes > maxPayloadBytes)
      throw new BadRequest(413, `a payload may have ${maxPayloadBytes} bytes, this one has ${sizeBytes}`);
    uploads.admit();
    if (headers.expect !== undefined) reply.raw.writeContinue();
    await context.deliver(new Payload(id, await uploads.read(raw, sizeBytes)));
    return { status: 200, outcome: 'delivered', text: 'delivered' };
  }
}

function answerOf(error: unknown): Answer {
  const text = errorMessage(error);
  if (error instanceof BadRequest) return { status: error.status, outcome: 'rejected', text };
  // Nobody reads it.
  if (error instanceof ClientGoneError) return { status: 499, outcome: 'abandoned', text };
  if (error instanceof PipelineError && error.code === 'ESPER_PIPELINE_TOO_LARGE')
    return { status: 413, outcome: 'rejected', text };
  return { status: 503, outcome: 'refused', text, retryAfterMs: retryAfterOf(error, DEFAULT_RETRY_MS) };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
