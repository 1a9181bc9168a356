/** The drill's own look into the engine, apart from the bus: plain commands, only ever to servers the drill started. */
import { Cluster, Redis } from 'ioredis';
import { ENVELOPE_ATTRIBUTES, openEnvelope } from '../../src/leyline/envelope.ts';
import { DEAD_LETTERS, STREAM, URGENT_STREAM } from './bus.ts';
import { type BusTarget, GROUP } from './plan.ts';
import { delay, nowMs, within } from './wait.ts';

/** What of ioredis's clients is used here: one node, Sentinel's primary, or the Cluster. */
type Client = Redis | Cluster;
type Row = [id: Buffer, fields: Buffer[]];

const COMMAND_TIMEOUT_MS = 20_000;
const PAGE = 1000;
/** What a fault brings with it: asked again. */
const PASSING = /CLUSTERDOWN|TRYAGAIN|LOADING|READONLY|MASTERDOWN|Connection is closed|Failed to refresh/;

export interface Backlog {
  /** Handed out and not acknowledged. */
  readonly pending: number;
  /** Not handed out yet; undefined when the engine cannot tell. */
  readonly lag: number | undefined;
}

export interface StoredLetter {
  readonly eventId: string;
  readonly reason: string;
  readonly originId: string;
  readonly deliveryCount: number;
}

function address(node: string): { host: string; port: number } {
  const [host = '', port = ''] = node.split(':');
  return { host, port: Number(port) };
}

function clientOf(target: BusTarget): Client {
  const options = { maxRetriesPerRequest: null, retryStrategy: () => 20, lazyConnect: true };
  if (target.kind === 'single') return new Redis(target.url, options);
  if (target.kind === 'sentinel') {
    return new Redis({
      ...options,
      sentinels: target.nodes.map(address),
      name: target.primaryName ?? 'mymaster',
      sentinelRetryStrategy: () => 50,
    });
  }
  return new Cluster(target.nodes.map(address), {
    clusterRetryStrategy: () => 50,
    redisOptions: { maxRetriesPerRequest: null },
    lazyConnect: true,
  });
}

function pairs(reply: unknown): Map<string, unknown> {
  const flat = Array.isArray(reply) ? reply : [];
  return new Map(Array.from({ length: flat.length / 2 }, (_, i) => [String(flat[2 * i]), flat[2 * i + 1]]));
}

function fieldsOf(row: Row): Map<string, Buffer> {
  const [, fields] = row;
  return new Map(
    Array.from({ length: fields.length / 2 }, (_, i) => [
      String(fields[2 * i]),
      fields[2 * i + 1] ?? Buffer.alloc(0),
    ]),
  );
}

/** Of the envelope, whatever signed it; '' when it cannot be read. */
function eventIdOf(row: Row): string {
  const payload = fieldsOf(row).get('payload') ?? Buffer.alloc(0);
  try {
    return openEnvelope({ payload, signature: '' }, undefined).attributes[ENVELOPE_ATTRIBUTES.eventId] ?? '';
  } catch {
    return '';
  }
}

export class Inspector {
  readonly #client: Client;

  constructor(target: BusTarget) {
    this.#client = clientOf(target);
    this.#client.on('error', () => undefined);
  }

  async command(name: string, ...args: (string | number)[]): Promise<unknown> {
    const endMs = nowMs() + COMMAND_TIMEOUT_MS;
    for (;;) {
      try {
        return await within(`the drill's own ${name}`, COMMAND_TIMEOUT_MS, this.#client.call(name, ...args));
      } catch (error) {
        if (!(error instanceof Error) || !PASSING.test(error.message) || nowMs() > endMs) throw error;
        await delay(20);
      }
    }
  }

  /** Entry ids that this consumer (else: anybody) was given and has not acknowledged; at most a thousand. */
  async pending(consumer?: string): Promise<string[]> {
    const args = [STREAM, GROUP, '-', '+', PAGE, ...(consumer === undefined ? [] : [consumer])];
    const rows = await this.command('XPENDING', ...args).catch(noGroup);
    return Array.isArray(rows) ? rows.map((row) => String((row as unknown[])[0])) : [];
  }

  /** How many entries this consumer has, those of the emergency stream included; at most a thousand of each. */
  async held(consumer: string): Promise<number> {
    const args = [URGENT_STREAM, `normal:${GROUP}`, '-', '+', PAGE, consumer];
    const urgent = await this.command('XPENDING', ...args).catch(noGroup);
    const home = await this.pending(consumer);
    return home.length + (Array.isArray(urgent) ? urgent.length : 0);
  }

  async backlog(): Promise<Backlog> {
    const groups = await this.command('XINFO', 'GROUPS', STREAM).catch(noGroup);
    const group = (Array.isArray(groups) ? groups : [])
      .map(pairs)
      .find((found) => String(found.get('name')) === GROUP);
    if (group === undefined) return { pending: 0, lag: undefined };
    const lag = group.get('lag');
    return {
      pending: Number(group.get('pending')),
      lag: lag === null || lag === undefined ? undefined : Number(lag),
    };
  }

  /** Event ids of every entry that is on the stream. */
  async eventIds(): Promise<Set<string>> {
    return new Set((await this.#range(STREAM)).map(eventIdOf));
  }

  /** What is on the stream, and then nothing any more, in one step: nobody can come in between. */
  async flushAll(): Promise<Set<string>> {
    const replies = await within(
      'FLUSHALL',
      COMMAND_TIMEOUT_MS,
      (this.#client as Redis).multi().xrangeBuffer(STREAM, '-', '+').flushall().exec(),
    );
    const [error, rows] = replies?.[0] ?? [new Error('FLUSHALL was not executed'), undefined];
    if (error !== null) throw error;
    return new Set((rows as Row[]).map(eventIdOf));
  }

  async deadLetters(): Promise<StoredLetter[]> {
    return (await this.#range(DEAD_LETTERS)).map((row) => {
      const fields = fieldsOf(row);
      const text = (name: string): string => String(fields.get(name) ?? '');
      return {
        eventId: eventIdOf(row) || text('event_id'),
        reason: text('reason'),
        originId: text('origin_id'),
        deliveryCount: Number(text('delivery_count')),
      };
    });
  }

  /** Ids of the connections whose name says this role: 'publisher', 'reader' or 'control'. */
  async connections(role: string): Promise<string[]> {
    const list = String(await this.command('CLIENT', 'LIST'));
    return list.split('\n').flatMap((line) => {
      const [, id = '', name = ''] = /^id=(\d+) .*? name=(\S*) /.exec(line) ?? [];
      return name.includes(role) ? [id] : [];
    });
  }

  close(): void {
    this.#client.disconnect();
  }

  async #range(stream: string): Promise<Row[]> {
    const rows: Row[] = [];
    let from = '-';
    for (;;) {
      const page = (await within(
        `XRANGE ${stream}`,
        COMMAND_TIMEOUT_MS,
        this.#client.xrangeBuffer(stream, from, '+', 'COUNT', PAGE),
      )) as unknown as Row[];
      rows.push(...page);
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return rows;
      from = `(${String(last[0])}`;
    }
  }
}

/** No stream or no group yet, or not any more: nothing is pending. */
function noGroup(error: unknown): undefined {
  if (error instanceof Error && /NOGROUP|no such key/.test(error.message)) return undefined;
  throw error;
}
