/** Publishes numbered events and keeps the publisher's ledger: an id is done only when the bus said it is stored. */
import { type DrillPublisher, openPublisher } from './bus.ts';
import { farewell, serveCalls } from './child-main.ts';
import { steppedClock } from './clock.ts';
import { LedgerWriter } from './ledger.ts';
import {
  type EmergencyPlan,
  type Keys,
  PUBLISH_DEADLINE_MS,
  type PublisherPlan,
  type PublisherStatus,
} from './plan.ts';
import { delay, nowMs } from './wait.ts';

/** A result that names no waiting time: tried again after this, milliseconds. */
const RETRY_MS = 10;
const LONGEST_RETRY_MS = 250;

const clock = steppedClock();
const outcomes: Record<string, number> = {};
const refused: string[] = [];
let plan: PublisherPlan | undefined;
let bus: DrillPublisher | undefined;
let ledger: LedgerWriter | undefined;
let unsettled = 0;
let confirmed = 0;
let overdue = 0;
let slowestMs = 0;
let released = false;
let done = false;
let nextDueMs = 0;

function count(what: string): void {
  outcomes[what] = (outcomes[what] ?? 0) + 1;
}

/** One attempt; the outcome, and how long to wait before the next one if there must be one. */
async function attempt(
  eventId: string,
  publisher: DrillPublisher,
): Promise<{ word: string; entryId: string; waitMs: number }> {
  const startedMs = nowMs();
  unsettled += 1;
  try {
    const { highEvery = 0 } = plan ?? {};
    const number = Number(eventId.slice(eventId.lastIndexOf('-') + 1));
    const result = await publisher.publish(eventId, highEvery > 0 && number % highEvery === 0);
    if (result.outcome === 'published' || result.outcome === 'duplicate' || result.outcome === 'rerouted') {
      count(result.outcome);
      return { word: result.outcome, entryId: result.entryId, waitMs: 0 };
    }
    if (result.outcome === 'failed' && result.retryable) {
      count(`failed:${result.code}`);
      return { word: 'again', entryId: '-', waitMs: result.retryAfterMs ?? RETRY_MS };
    }
    if (result.outcome === 'deferred' || result.outcome === 'dropped') {
      count(result.outcome === 'dropped' ? `dropped:${result.reason}` : 'deferred');
      return { word: 'again', entryId: '-', waitMs: LONGEST_RETRY_MS };
    }
    count(`${result.outcome}:${result.code}`);
    refused.push(`${eventId}: ${result.outcome} ${result.code}: ${result.reason}`);
    return { word: 'refused', entryId: '-', waitMs: 0 };
  } finally {
    unsettled -= 1;
    const tookMs = nowMs() - startedMs;
    slowestMs = Math.max(slowestMs, tookMs);
    if (tookMs > PUBLISH_DEADLINE_MS + 2000) overdue += 1;
  }
}

/** Publishes under the same id until it is stored: the bus's dedup makes one of many. */
async function publishSurely(eventId: string): Promise<string> {
  for (;;) {
    const publisher = bus;
    if (publisher === undefined) throw new Error('not started');
    const { word, entryId, waitMs } = await attempt(eventId, publisher);
    if (word !== 'again') {
      if (word !== 'refused') confirmed += 1;
      ledger?.write({ eventId, entryId, word, atMs: nowMs() });
      return word;
    }
    await delay(Math.min(LONGEST_RETRY_MS, waitMs));
  }
}

/** No catching up after an outage: what was not published then is published at the same pace later. */
async function pace(perSecond: number): Promise<void> {
  const dueMs = Math.max(nowMs(), nextDueMs);
  nextDueMs = dueMs + 1000 / perSecond;
  const waitMs = dueMs - nowMs();
  if (waitMs > 1) await delay(waitMs);
}

async function inWindow(
  size: number,
  nextId: () => string | undefined,
  work: (id: string) => Promise<unknown>,
): Promise<void> {
  const lane = async (): Promise<void> => {
    for (let id = nextId(); id !== undefined; id = nextId()) await work(id);
  };
  await Promise.all(Array.from({ length: size }, lane));
}

/** At least `count`, and on until the drill has placed its faults: they must find messages under way. */
function numbered({ prefix, count }: PublisherPlan): () => string | undefined {
  let next = 0;
  return () => (next < count || !released ? `${prefix}-${next++}` : undefined);
}

async function publishAll(given: PublisherPlan): Promise<void> {
  await inWindow(given.window, numbered(given), async (id) => {
    await pace(given.perSecond);
    await publishSurely(id);
  });
}

/** Each source waits for its own, so that there is an order to keep. */
async function publishEmergencies({ ledger, sources, each, perSecond }: EmergencyPlan): Promise<void> {
  const writer = new LedgerWriter(ledger);
  const source = async (name: string): Promise<void> => {
    for (let number = 0; number < each; number++) {
      const eventId = `${name}-${number}`;
      await delay(1000 / perSecond);
      const entryId = await publishEmergency(eventId, name);
      writer.write({ eventId, entryId, word: 'published', atMs: nowMs() });
    }
  };
  await Promise.all(Array.from({ length: sources }, (_, i) => source(`source${i}`)));
  writer.close();
}

async function publishEmergency(eventId: string, source: string): Promise<string> {
  for (;;) {
    const result = await bus?.publishEmergency(eventId, source);
    if (result !== undefined && result.outcome !== 'failed') return result.entryId;
    count(`emergency failed:${result?.code}`);
    await delay(RETRY_MS);
  }
}

async function run(given: PublisherPlan): Promise<void> {
  const emergencies = given.emergencies === undefined ? undefined : publishEmergencies(given.emergencies);
  await Promise.all([publishAll(given), emergencies]);
  done = true;
}

function status(): PublisherStatus {
  return {
    unsettled,
    confirmed,
    done,
    outcomes,
    overdue,
    slowestMs,
    refused: refused.slice(0, 5),
  };
}

serveCalls({
  start: async (argument) => {
    plan = argument as PublisherPlan;
    ledger = new LedgerWriter(plan.ledger);
    bus = await openPublisher(plan, clock);
    run(plan).catch((error: unknown) => refused.push(`publisher: ${String(error)}`));
  },
  status,
  step: (argument) => clock.step(argument as number),
  /** Other keys under load: the new bus takes over, the old one ends what it has in flight. */
  rekey: async (argument) => {
    if (plan === undefined) throw new Error('not started');
    const former = bus;
    bus = await openPublisher({ ...plan, keys: argument as Keys }, clock);
    await former?.close();
  },
  /** No more than `count` from now on. */
  release: () => {
    released = true;
  },
  /** Publishes these as well, each until it is stored. */
  resend: async (argument) => {
    const ids = [...(argument as string[])];
    await inWindow(64, () => ids.pop(), publishSurely);
  },
  end: async () => {
    await bus?.close();
    ledger?.close();
    await farewell(status());
  },
});
