import type { IncomingMessage, ServerResponse } from 'node:http';
import { finished } from 'node:stream/promises';

/** How long a client may go on with a body that nobody wants before its connection is cut. */
const PATIENCE_MS = 10_000;
/** Between two pieces of such a body. */
const PIECE_MS = 20;

export interface EarlyAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * Answers a client that still sends its body. The connection must not be closed under it: the kernel throws away an
 * answer that was not read yet when bytes come that nobody takes. So the rest is read into nothing until the client has
 * seen its answer and goes away, or has sent it all; slowly, because what is read is garbage that has to be collected
 * first, and memory is what is short.
 */
export async function answerEarly(
  request: IncomingMessage,
  response: ServerResponse,
  { status, headers, body }: EarlyAnswer,
): Promise<void> {
  response.on('error', () => undefined);
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
  response.write(body);
  // Who asked first sends nothing after this answer.
  if (request.headers.expect === undefined) await discard(request);
  response.end();
}

async function discard(request: IncomingMessage): Promise<void> {
  const onPiece = (): void => void request.pause();
  const timer = setInterval(() => request.resume(), PIECE_MS);
  const signal = AbortSignal.timeout(PATIENCE_MS);
  request.on('data', onPiece);
  await finished(request, { signal, cleanup: true }).catch(() => undefined);
  request.off('data', onPiece);
  clearInterval(timer);
}
