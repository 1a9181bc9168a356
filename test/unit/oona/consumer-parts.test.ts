import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { errorCode } from '../../../src/core/errors.ts';
import { silentLogger } from '../../../src/core/logger.ts';
import { Metrics } from '../../../src/core/metrics.ts';
import { Alarm } from '../../../src/oona/consumer/alarm.ts';
import { Cancel } from '../../../src/oona/consumer/cancel.ts';
import { causeCode, errorText } from '../../../src/oona/consumer/cause.ts';
import { openConsumer } from '../../../src/oona/consumer/consumer.ts';
import { ConsumerCounters } from '../../../src/oona/consumer/counters.ts';
import type { ConsumerParts } from '../../../src/oona/consumer/options.ts';
import { Work } from '../../../src/oona/consumer/work.ts';
import { DEFAULT_STREAMS } from '../../../src/oona/streams.ts';
import { createMemoryTransport } from '../../../src/oona/transport/memory.ts';
import type { ConsumerOptions } from '../../../src/oona/work-types.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';
import { keyRing } from '../../helpers/oona-fixtures.ts';

const test = suite('parts of a consumer');

const parts = (): ConsumerParts => ({
  ...{ transport: createMemoryTransport(), keyRing, streams: DEFAULT_STREAMS, hostId: 'h' },
  ...{ maxAgeMs: 900_000, maxFutureSkewMs: 30_000, maxPayloadBytes: 1024, callDeadlineMs: 1000 },
  ...{ deadLetterMaxLength: 10, clock: createManualClock(), random: () => 0.5 },
  ...{ logger: silentLogger, metrics: new Metrics() },
});

const refusal = (options: object): string => {
  try {
    openConsumer(parts(), { stream: 'normal', group: 'g', ...options } as ConsumerOptions, () => undefined);
  } catch (error) {
    assert.is(errorCode(error), 'ESPER_OPTION_INVALID');
    return (error as Error).message;
  }
  throw new Error('expected a refusal');
};

test('[R-O2] options are refused outside their ranges, each by its name', () => {
  assert.match(refusal({ stream: 'emergency' }), 'emergencyReader');
  assert.match(refusal({ stream: 'deadLetter' }), 'stream');
  assert.match(refusal({ stream: 'toString' }), 'stream');
  assert.match(refusal({ group: '' }), 'group');
  assert.match(refusal({ group: 'a b' }), 'group');
  assert.match(refusal({ consumer: 'a~b' }), 'consumer');
  assert.match(refusal({ types: [] }), 'types');
  assert.match(refusal({ types: [99] }), 'types');
  assert.match(refusal({ maxInflight: 3 }), 'maxInFlight');
  assert.match(refusal({ batchSize: 1.5 }), 'whole');
  assert.match(refusal({ replayGuard: 'redis' }), 'local, shared');
  const bounds: Record<string, readonly [number, number]> = {
    maxInFlight: [0, 10_001],
    batchSize: [0, 1001],
    blockMs: [0, 60_001],
    leaseMs: [99, 3_600_001],
    claimIntervalMs: [9, 3_600_001],
    handlerTimeoutMs: [0, 86_400_001],
    maxDeliveries: [0, 1001],
    retryBaseMs: [0, 60_001],
    retryCapMs: [0, 3_600_001],
    maxAgeMs: [999, 604_800_001],
    replayCapacity: [0, 10_000_001],
    drainMs: [-1, 600_001],
  };
  for (const [name, values] of Object.entries(bounds)) {
    for (const value of [...values, Number.NaN, '1']) assert.match(refusal({ [name]: value }), name);
  }
});

test('[R-O2] the default name is one that can be given, whatever the host is called', () => {
  const options: ConsumerOptions = { stream: 'normal', group: 'g' };
  const { consumer } = openConsumer({ ...parts(), hostId: 'a~b/c@d' }, options, () => undefined);
  assert.match(consumer, /^a_b_c_d:\d+:[0-9a-f]{8}$/);
  assert.is(openConsumer(parts(), { ...options, consumer }, () => undefined).consumer, consumer);
});

test('[R-O2] a handler must be a function', () => {
  const options: ConsumerOptions = { stream: 'normal', group: 'g' };
  assert.throws(() => openConsumer(parts(), options, undefined as never), /handler/);
});

test('[R-O6] an error becomes one bounded line without credentials', () => {
  assert.is(
    errorText(new Error('at redis://u:p@h:1 and amqps://k@x')),
    'at redis://***@h:1 and amqps://***@x',
  );
  assert.is(errorText('plain'), 'plain');
  assert.is(errorText(new Error('y'.repeat(5000))).length, 1024);
  assert.is(causeCode({ code: 'A_CODE' }, 'F'), 'A_CODE');
  assert.is(causeCode({ code: 'a code' }, 'F'), 'F');
  assert.is(causeCode({ code: 'A'.repeat(101) }, 'F'), 'F');
  assert.is(causeCode(new Error('x'), 'F'), 'F');
});

test('[R-O2] looks at an entry that is worked on do not count as deliveries', () => {
  const entry = { stream: 's', entryId: '1-0', payload: new Uint8Array(1), signature: '' };
  const work = new Work({ ...entry, deliveryCount: 1 }, { askedAtMs: 0, atMs: 0, wallMs: 0 }, false);
  work.lookedAt({ ...entry, deliveryCount: 2 }, 5);
  work.lookedAt({ ...entry, deliveryCount: 3 }, 6);
  assert.is(work.deliveryCount, 1);
  assert.is(work.touchedAtMs, 6);
  // The next real delivery, after the two looks.
  work.entry = { ...entry, deliveryCount: 4 };
  assert.is(work.deliveryCount, 2);
  // A group that was made again counts from 1.
  work.lookedAt({ ...entry, deliveryCount: 1 }, 7);
  assert.is(work.deliveryCount, 2);
});

test('[R-O2] codes of dead letters are counted under a bounded number of names', () => {
  const metrics = new Metrics();
  const counters = new ConsumerCounters(metrics, 'normal');
  for (let i = 0; i < 200; i++) counters.deadLetter(`CODE_${i}`);
  const { deadLetteredByCode } = counters.snapshot();
  assert.is(Object.keys(deadLetteredByCode).length, 65);
  assert.is(deadLetteredByCode.other, 136);
  assert.is(metrics.value('oona.consume.normal.dead_lettered_total.other'), 136);
});

test('[R-O2] a signal is made late and still tells what happened before', () => {
  const cancel = new Cancel();
  cancel.abort(new Error('first'));
  cancel.abort(new Error('second'));
  assert.ok(cancel.signal.aborted);
  assert.is((cancel.signal.reason as Error).message, 'first');
});

test('[R-O2] an alarm rings at the earliest time asked for, and not after it was closed', async () => {
  const clock = createManualClock();
  let rings = 0;
  const alarm = new Alarm(clock, () => {
    rings += 1;
  });
  const nowMs = clock.monotonicMs();
  alarm.wakeBy(nowMs + 50);
  alarm.wakeBy(nowMs + 10);
  alarm.wakeBy(nowMs + 30);
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  clock.advance(10);
  await settle();
  assert.is(rings, 1);
  clock.advance(100);
  await settle();
  assert.is(rings, 1);
  alarm.wakeBy(clock.monotonicMs() + 5);
  alarm.close();
  clock.advance(10);
  await settle();
  assert.is(rings, 1);
});

test.run();
