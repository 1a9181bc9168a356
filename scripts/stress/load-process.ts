// Posts payloads over many connections at once, from outside of the cgroup, and keeps its own account of each.
import { randomBytes } from 'node:crypto';
import { Agent, type IncomingMessage, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { STAMP_BYTES, stampOf } from './stamp.ts';

export interface LoadOrder {
  readonly url: string;
  readonly connections: number;
  readonly payloadBytes: number;
}

/** How one payload ended, as its sender sees it. */
export type LoadOutcome =
  | 'delivered'
  /** 503 with Retry-After. */
  | 'refused'
  /** Any other answer. */
  | 'strange'
  /** The connection broke without an answer. */
  | 'broken'
  /** Nobody took the connection: it was never sent. */
  | 'unreachable';

export interface LoadReport {
  readonly outcomes: ReadonlyMap<string, LoadOutcome>;
  /** What the strange ones were. */
  readonly notes: readonly string[];
}

export type ToLoad = { readonly begin: LoadOrder } | { readonly stop: true };

const AGENT = new Agent({ keepAlive: false });
/** Random numbers as text: what a gzip makes of records, about half. */
const PATTERN_BYTES = 2 ** 20;
const MAX_WAIT_MS = 2000;

const outcomes = new Map<string, LoadOutcome>();
const notes: string[] = [];
let isStopping = false;

interface Answer {
  readonly outcome: LoadOutcome;
  readonly waitMs: number;
}

/** Of as many bytes as are sent after the id. */
function bodyOf(bytes: number): Buffer {
  const pattern = Buffer.from(randomBytes(PATTERN_BYTES / 2).toString('hex'));
  return Buffer.alloc(bytes, pattern);
}

function judge(response: IncomingMessage, text: string): Answer {
  const retryAfter = Number(response.headers['retry-after']);
  if (response.statusCode === 200) return { outcome: 'delivered', waitMs: 0 };
  if (response.statusCode === 503 && retryAfter > 0)
    return { outcome: 'refused', waitMs: Math.min(MAX_WAIT_MS, retryAfter * 1000) };
  notes.push(`${response.statusCode} ${text}`.slice(0, 200));
  return { outcome: 'strange', waitMs: 100 };
}

function post(url: string, id: string, tail: Buffer): Promise<Answer> {
  return new Promise((resolve) => {
    const stamp = stampOf(id);
    const headers = {
      'content-type': 'application/octet-stream',
      'content-length': stamp.length + tail.length,
      'x-payload-id': id,
    };
    const sending = request(`${url}/payloads`, { method: 'POST', agent: AGENT, headers });
    sending.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (more: string) => {
        text += more;
      });
      response.on('end', () => {
        resolve(judge(response, text));
        // Refused in the middle: nobody wants the rest.
        sending.destroy();
      });
    });
    sending.on('error', (error: NodeJS.ErrnoException) => {
      const isAway = error.code === 'ECONNREFUSED';
      resolve({ outcome: isAway ? 'unreachable' : 'broken', waitMs: 100 });
    });
    sending.write(stamp);
    sending.end(tail);
  });
}

async function connection(order: LoadOrder, index: number, tail: Buffer): Promise<void> {
  for (let count = 0; !isStopping; count++) {
    const id = `c${index}-${count}`;
    const { outcome, waitMs } = await post(order.url, id, tail);
    if (outcome !== 'unreachable') outcomes.set(id, outcome);
    if (waitMs > 0) await delay(waitMs);
  }
}

async function run(order: LoadOrder): Promise<void> {
  const tail = bodyOf(order.payloadBytes - STAMP_BYTES);
  await Promise.all(Array.from({ length: order.connections }, (_, index) => connection(order, index, tail)));
  const report: LoadReport = { outcomes, notes };
  process.send?.(report, () => process.disconnect());
}

process.on('message', (message: ToLoad) => {
  if ('stop' in message) isStopping = true;
  else void run(message.begin);
});
