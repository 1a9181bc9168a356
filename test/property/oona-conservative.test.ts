import { setImmediate as settle } from 'node:timers/promises';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BusMessageType, openEnvelope } from '../../src/leyline/index.ts';
import type { SloAlert } from '../../src/oona/observe/slo-tracker.ts';
import { createOona, type Oona } from '../../src/oona/oona.ts';
import { DEFAULT_STREAMS } from '../../src/oona/streams.ts';
import type { WorkPublishResult } from '../../src/oona/work-types.ts';
import { createManualClock, type ManualClock } from '../helpers/manual-clock.ts';
import { keyRing } from '../helpers/oona-fixtures.ts';
import { message } from '../helpers/publishing.ts';
import { seededRandom } from '../helpers/seeded.ts';
import { type EngineState, type SimulatedEngine, simulateEngine } from '../helpers/simulated-engine.ts';

/** FC_SEED repeats a run. */
const seed = Number(process.env.FC_SEED ?? Date.now() % 2 ** 31);
console.log(`fast-check seed ${seed} (repeat with FC_SEED=${seed})`);

const test = suite('conservative mode under steady load');
const REPORT = BusMessageType.BUS_MESSAGE_TYPE_FIELD_REPORT;
/** A day has the shortest windows: of the fast rule 10 s and 120 s. */
const SLO_PERIOD_MS = 86_400_000;
const STEP_MS = 5;
const DEADLINE_MS = 2000;
/** Of the publish breaker: its longest open time. */
const OPEN_CAP_MS = 10_000;
const SERVICE_MS = 4;
const CAPACITY = 1000 / SERVICE_MS;

interface Bus {
  readonly clock: ManualClock;
  readonly engine: SimulatedEngine;
  readonly oona: Oona;
  readonly alerts: string[];
  readonly results: Map<WorkPublishResult['outcome'], Set<string>>;
  /** Publishes steadily for so long; `each` is called after every step. */
  run(forMs: number, perSecond: number, each?: () => void): Promise<void>;
}

interface Tuning {
  readonly dwellMs: number;
  readonly quietMs: number;
  readonly outboxMaxMessages: number;
}

function open({ dwellMs, quietMs, outboxMaxMessages }: Tuning): Bus {
  const clock = createManualClock();
  const engine = simulateEngine(clock, SERVICE_MS);
  const alerts: string[] = [];
  const results: Bus['results'] = new Map();
  const oona = createOona({
    ...{ transport: engine.transport, keyRing, source: 'test', hostId: 'h', clock, random: seededRandom(1) },
    publishDeadlineMs: DEADLINE_MS,
    publish: { outboxMaxMessages },
    breaker: { openCapMs: OPEN_CAP_MS },
    conservativeMode: { dwellMs, quietMs },
    observe: {
      ...{ sloPeriodMs: SLO_PERIOD_MS, alertIntervalMs: 0, alertClearAfterMs: 60_000, tickMs: 250 },
      onAlert: ({ objective, rule, state }: SloAlert) => void alerts.push(`${objective} ${rule} ${state}`),
    },
  });
  oona.startReporting();
  let made = 0;
  let dueAtMs = clock.monotonicMs();
  const publish = (): void => {
    made += 1;
    const reportId = `r${made}`;
    void oona.publish(message(REPORT, { reportId })).then(({ outcome }) => {
      const ids = results.get(outcome) ?? new Set();
      results.set(outcome, ids.add(`report:${reportId}`));
    });
  };
  const run: Bus['run'] = async (forMs, perSecond, each) => {
    for (const endsAtMs = clock.monotonicMs() + forMs; clock.monotonicMs() < endsAtMs; ) {
      clock.advance(STEP_MS);
      dueAtMs = Math.max(dueAtMs, clock.monotonicMs() - STEP_MS);
      for (; dueAtMs <= clock.monotonicMs(); dueAtMs += 1000 / perSecond) publish();
      await settle();
      each?.();
    }
  };
  return { clock, engine, oona, alerts, results, run };
}

/** Ids on the stream of reports; each once. */
async function storedIds({ engine: { transport } }: Bus): Promise<Set<string>> {
  const request = { stream: DEFAULT_STREAMS.normal, after: '', count: 1_000_000, newestFirst: false };
  const entries = await transport.range(request, { deadlineMs: 1000 });
  const ids = entries.map(({ fields }) => {
    const signature = Buffer.from(fields.get('signature') ?? []).toString('latin1');
    return openEnvelope({ payload: fields.get('payload') ?? new Uint8Array(0), signature }, keyRing)
      .attributes.event_id;
  });
  const unique = new Set(ids.map(String));
  assert.is(unique.size, ids.length, 'stored once');
  return unique;
}

/** Ends the bus; close() sleeps on the manual clock. */
async function close({ clock, oona }: Bus): Promise<void> {
  let isClosed = false;
  const closing = oona.close().then(() => {
    isClosed = true;
  });
  while (!isClosed) {
    clock.advance(STEP_MS);
    await settle();
  }
  await closing;
}

const outage = fc.record({
  state: fc.constantFrom<EngineState>('slow', 'refusing', 'silent'),
  forMs: fc.integer({ min: 100, max: 20_000 }),
  // Of the 250 a second that the engine serves.
  perSecond: fc.integer({ min: 2, max: 170 }),
  dwellMs: fc.integer({ min: 0, max: 3000 }),
  quietMs: fc.integer({ min: 0, max: 2000 }),
  outboxMaxMessages: fc.constantFrom(20, 500, 10_000),
});

test('[R-O1] [R-O5] after any outage the mode ends in bounded time, stays off, and all that was not dropped is stored', async () => {
  let entered = 0;
  await fc.assert(
    fc.asyncProperty(outage, async ({ state, forMs, perSecond, ...tuning }) => {
      const bus = open(tuning);
      const { oona, engine, results } = bus;
      // Few good publishes before it: so the outage is most of what the windows know.
      await bus.run(11_000, 2);
      engine.state = state;
      await bus.run(forMs, perSecond);
      engine.state = 'well';
      // What is under way ends by its deadline, the breaker tries again, and the mode's own times pass.
      const { dwellMs, quietMs } = tuning;
      await bus.run(DEADLINE_MS + OPEN_CAP_MS + Math.max(dwellMs, quietMs) + 2000, perSecond);
      assert.not(oona.conservativeMode.active, oona.conservativeMode.reasons.join());
      const drainMs = (1000 * oona.metrics.value('oona.publish.outbox_waiting')) / (CAPACITY - perSecond);
      await bus.run(15_000 + 1.2 * drainMs, perSecond, () => assert.not(oona.conservativeMode.active));
      await bus.run(200, 0.001);
      entered += oona.metrics.value('oona.conservative_mode.entered_total');

      const value = (name: string): number => oona.metrics.value(`oona.publish.${name}`);
      assert.is(value('outbox_waiting'), 0, 'the outbox is empty');
      const ids = await storedIds(bus);
      const of = (outcome: WorkPublishResult['outcome']) => results.get(outcome) ?? new Set<string>();
      for (const id of of('published')) assert.ok(ids.has(id), id);
      const deferredAndGone = [...of('deferred')].filter((id) => !ids.has(id));
      assert.is(deferredAndGone.length, value('normal.outbox_dropped_total'));
      assert.is(value('dropped_total'), 0, 'what the outbox dropped is counted under its own name');
      await close(bus);
    }),
    { seed, numRuns: 12, examples: [[worst('refusing')], [worst('slow')], [deep]] },
  );
  assert.ok(entered > 0, 'some outage turned it on');
});

/** A long outage, the most load, a small outbox. */
function worst(state: EngineState) {
  return { state, forMs: 20_000, perSecond: 170, dwellMs: 500, quietMs: 200, outboxMaxMessages: 20 };
}

const deep = { ...worst('silent'), outboxMaxMessages: 10_000 };

test('[R-O5] a slow engine turns the mode on while the fast alert is active, and it ends with the slowness, not with the alert', async () => {
  const bus = open({ dwellMs: 0, quietMs: 400, outboxMaxMessages: 10_000 });
  const { oona, engine, alerts } = bus;
  await bus.run(11_000, 50);
  engine.state = 'slow';
  const reasons = new Set<string>();
  const note = (): void => {
    for (const reason of oona.conservativeMode.reasons) reasons.add(reason);
  };
  await bus.run(30_000, 50, note);
  assert.ok(oona.conservativeMode.active);
  assert.equal([...reasons], ['slo:publish_latency:fast']);
  assert.not(alerts.includes('publish_latency fast end'), 'no message went out that could end it');
  engine.state = 'well';
  await bus.run(1500, 50);
  assert.not(oona.conservativeMode.active);
  assert.not(alerts.includes('publish_latency fast end'), 'its window remembers the outage');
  engine.state = 'slow';
  await bus.run(2000, 50);
  assert.ok(oona.conservativeMode.active, 'slow again under the same alert');
  engine.state = 'well';
  await bus.run(20_000, 50);
  assert.not(oona.conservativeMode.active);
  await close(bus);
});

test('[R-O5] what waited in a manual hold on a good engine raises no alert and does not bring the mode back', async () => {
  const bus = open({ dwellMs: 500, quietMs: 200, outboxMaxMessages: 10_000 });
  const { oona, alerts } = bus;
  await bus.run(1000, 20);
  oona.conservativeMode.hold();
  await bus.run(20_000, 20);
  oona.conservativeMode.release();
  await bus.run(600, 20);
  await bus.run(20_000, 20, () => assert.not(oona.conservativeMode.active));
  assert.equal(alerts, []);
  assert.is(oona.metrics.value('oona.publish.outbox_waiting'), 0);
  assert.ok(oona.metrics.value('oona.publish.outbox_waited_ms') > 500, 'told apart from the latency');
  await close(bus);
});

test('[R-O5] what the outbox drops has an alert of its own, and drives no objective', async () => {
  const bus = open({ dwellMs: 0, quietMs: 100, outboxMaxMessages: 20 });
  const { oona, alerts } = bus;
  await bus.run(11_000, 50);
  oona.conservativeMode.hold();
  await bus.run(10_000, 50);
  assert.equal(alerts, ['outbox_dropped limit begin']);
  assert.equal([...oona.conservativeMode.reasons], ['manual']);
  const { counters } = oona.metricsSnapshot();
  assert.ok((counters.publish_outbox_dropped ?? 0) > 400);
  assert.equal([counters.publish_dropped, counters['oona.publish.dropped_total'] ?? 0], [0, 0]);
  await close(bus);
});

test('[R-O5] the slow and the steady rule alert, and hold nothing', async () => {
  const bus = open({ dwellMs: 0, quietMs: 100, outboxMaxMessages: 20 });
  const { oona, engine, alerts } = bus;
  // Three of five publishes are late: a burn rate of 12, below the fast rule's 14.4.
  for (let i = 0; i < 80; i++) {
    engine.state = 'slow';
    await bus.run(600, 20, () => assert.not(oona.conservativeMode.active));
    engine.state = 'well';
    await bus.run(400, 20, () => assert.not(oona.conservativeMode.active));
  }
  assert.ok(alerts.includes('publish_latency slow begin'), alerts.join());
  assert.not(alerts.includes('publish_latency fast begin'));
  await close(bus);
});

test.run();
