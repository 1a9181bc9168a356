import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { errorCode } from '../../../src/core/errors.ts';
import { silentLogger } from '../../../src/core/logger.ts';
import { Metrics } from '../../../src/core/metrics.ts';
import type { OptionRow } from '../../../src/core/option-rows.ts';
import type { OptionRows, OptionTable } from '../../../src/core/option-table.ts';
import { CONSUMER_OPTIONS } from '../../../src/oona/consumer/options.ts';
import { createDeadLetterAuditor } from '../../../src/oona/dead-letters/auditor.ts';
import { createDeadLetters } from '../../../src/oona/dead-letters/dead-letters.ts';
import {
  DEAD_LETTER_AUDITOR_OPTIONS,
  DEAD_LETTERS_OPTIONS,
  LETTER_FILTER_OPTIONS,
  LETTER_QUERY_OPTIONS,
  REPLAY_OPTIONS,
} from '../../../src/oona/dead-letters/options.ts';
import { createOona } from '../../../src/oona/oona.ts';
import { OONA_OPTIONS, resolveOonaOptions } from '../../../src/oona/options.ts';
import { PUBLISH_CALL_OPTIONS } from '../../../src/oona/publish/call-options.ts';
import { EMERGENCY_READER_OPTIONS } from '../../../src/oona/reader-options.ts';
import { DEFAULT_STREAMS, STREAM_OPTIONS } from '../../../src/oona/streams.ts';
import { createMemoryTransport } from '../../../src/oona/transport/memory.ts';
import { MEMORY_TRANSPORT_OPTIONS } from '../../../src/oona/transport/memory-options.ts';
import { createRedisTransport } from '../../../src/oona/transport/redis.ts';
import { REDIS_TUNING_OPTIONS } from '../../../src/oona/transport/redis-options.ts';
import {
  REDIS_SENTINEL_OPTIONS,
  REDIS_TARGET_OPTIONS,
  REDIS_TLS_OPTIONS,
} from '../../../src/oona/transport/redis-target-options.ts';
import { createManualClock } from '../../helpers/manual-clock.ts';
import { keyRing } from '../../helpers/oona-fixtures.ts';

const test = suite('oona options');

const transport = createMemoryTransport();
const parts = { transport, streams: DEFAULT_STREAMS, clock: createManualClock() };
const report = { metrics: new Metrics(), logger: silentLogger };
const bus = { transport, keyRing, source: 's', hostId: 'h' };

interface Case {
  readonly table: OptionTable<OptionRows>;
  /** What must be given. */
  readonly needed: object;
  /** The largest value below, and the smallest above what is accepted; null: none. Written down a second time here. */
  readonly beyond: Readonly<Record<string, readonly [number, number]>>;
}

const DAY = 86_400_000;
const CASES: readonly Case[] = [
  {
    table: OONA_OPTIONS,
    needed: bus,
    beyond: {
      publishDeadlineMs: [0, 600_001],
      maxAgeMs: [999, 7 * DAY + 1],
      maxFutureSkewMs: [-1, 3_600_001],
      maxPayloadBytes: [1023, 536_870_913],
      deadLetterMaxLength: [0, 10_000_001],
      deadLetterMaxBytes: [-1, 2 ** 40 + 1],
      urgentPerMinute: [-1, 1_000_001],
    },
  },
  { table: STREAM_OPTIONS, needed: {}, beyond: {} },
  { table: PUBLISH_CALL_OPTIONS, needed: {}, beyond: { deadlineMs: [0, 600_001] } },
  {
    table: CONSUMER_OPTIONS,
    needed: { stream: 'normal', group: 'g' },
    beyond: { maxInFlight: [0, 10_001], leaseMs: [99, 3_600_001], claimIntervalMs: [9, 3_600_001] },
  },
  {
    table: EMERGENCY_READER_OPTIONS,
    needed: {},
    beyond: {
      blockMs: [0, 60_001],
      batchSize: [0, 1001],
      handlerTimeoutMs: [0, 600_001],
      retryBaseMs: [0, 60_001],
      retryCapMs: [0, 600_001],
      seenCapacity: [0, 10_000_001],
    },
  },
  {
    table: REDIS_TUNING_OPTIONS,
    needed: {},
    beyond: {
      waitReplicas: [-1, 9],
      connectTimeoutMs: [9, 60_001],
      stallMs: [9, 60_001],
      readSlackMs: [9, 60_001],
      reconnectBaseMs: [0, 60_001],
      reconnectCapMs: [0, 60_001],
    },
  },
  { table: REDIS_TARGET_OPTIONS, needed: { url: 'redis://h' }, beyond: { db: [-1, 100_000] } },
  { table: REDIS_SENTINEL_OPTIONS, needed: { name: 'm' }, beyond: {} },
  { table: REDIS_TLS_OPTIONS, needed: {}, beyond: {} },
  { table: MEMORY_TRANSPORT_OPTIONS, needed: {}, beyond: {} },
  {
    table: DEAD_LETTERS_OPTIONS,
    needed: { ...parts, ...report },
    beyond: {
      maxPayloadBytes: [1023, 536_870_913],
      callDeadlineMs: [0, 600_001],
      replayWindowMs: [999, 7 * DAY + 1],
      countLimit: [0, 10_000_001],
    },
  },
  {
    table: DEAD_LETTER_AUDITOR_OPTIONS,
    needed: { ...parts, ...report, publish: () => undefined },
    beyond: {
      intervalMs: [99, 3_600_001],
      sampleLimit: [0, 100_001],
      lookBackMs: [-1, DAY + 1],
      errorRatePerMinute: [-1, 1_000_001],
      tellCapMs: [99, DAY + 1],
      callDeadlineMs: [0, 600_001],
    },
  },
  { table: LETTER_FILTER_OPTIONS, needed: {}, beyond: { messageType: [-1, 2 ** 31] } },
  { table: LETTER_QUERY_OPTIONS, needed: {}, beyond: { limit: [0, 1_000_001] } },
  { table: REPLAY_OPTIONS, needed: {}, beyond: { limit: [0, 100_001] } },
];

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.is(errorCode(error), 'ESPER_OPTION_INVALID');
    return (error as Error).message;
  }
  throw new Error('expected a refusal');
}

const rowsOf = ({ table }: Case): [string, OptionRow<unknown>][] => Object.entries(table.rows);

for (const one of CASES) {
  const { table, needed, beyond } = one;
  const { owner, title } = table.head;

  test(`[R-O1] ${title}: what is not given is the default, and the result is frozen`, () => {
    const resolved = table.resolve(needed);
    assert.ok(Object.isFrozen(resolved));
    for (const [name, row] of rowsOf(one)) {
      assert.ok(name in resolved, name);
      if (name in needed || row.derived !== undefined) continue;
      assert.is(resolved[name], row.defaultValue, name);
    }
  });

  test(`[R-O1] ${title}: what must be given is asked for by its name`, () => {
    for (const [name, row] of rowsOf(one)) {
      if (!row.required) continue;
      assert.match(
        refusal(() => table.resolve({ ...needed, [name]: undefined })),
        `${owner}: ${name} is missing`,
      );
    }
  });

  test(`[R-O1] ${title}: an unknown option, and a value of a wrong type, are refused by their names`, () => {
    const unknown = { ...needed, nobodyKnowsThis: 1 };
    assert.match(
      refusal(() => table.resolve(unknown)),
      `${owner}: unknown option "nobodyKnowsThis"`,
    );
    for (const [name] of rowsOf(one)) {
      for (const wrong of [Symbol('x'), null, Number.NaN]) {
        assert.match(
          refusal(() => table.resolve({ ...needed, [name]: wrong })),
          `${owner}: ${name} must be `,
        );
      }
    }
  });

  test(`[R-O1] ${title}: both ends of a range are accepted, and nothing beyond them`, () => {
    for (const [name, [below, above]] of Object.entries(beyond)) {
      for (const value of [below, above]) {
        assert.match(
          refusal(() => table.resolve({ ...needed, [name]: value })),
          `${owner}: ${name} must be `,
        );
      }
      for (const value of [below + 1, above - 1]) {
        assert.is(table.resolve({ ...needed, [name]: value })[name], value, name);
      }
    }
  });

  test(`[R-O1] ${title}: every option says what it is, and each range what happens at its end`, () => {
    for (const [name, row] of rowsOf(one)) {
      assert.match(row.text, /\.$/, `${name} has no text`);
      assert.ok(row.allowed !== '' && row.range !== '' && row.defaultText !== '', name);
      if (name in beyond && row.unit !== '')
        assert.match(row.atLimit, /\.$/, `${name} says nothing of its limit`);
    }
  });
}

test('[R-O1] defaults that follow from other options', () => {
  assert.is(resolveOonaOptions(bus).closeTransport, false);
  const redis = createRedisTransport({ url: 'redis://127.0.0.1:1' });
  assert.is(resolveOonaOptions({ ...bus, transport: redis }).closeTransport, true);
  assert.is(resolveOonaOptions({ ...bus, transport: redis, closeTransport: false }).closeTransport, false);
  const consumer = (stream: 'normal' | 'policy') => CONSUMER_OPTIONS.resolve({ stream, group: 'g' });
  assert.equal(
    [consumer('normal').pauseInConservativeMode, consumer('policy').pauseInConservativeMode],
    [true, false],
  );
  assert.is(consumer('normal').claimIntervalMs, 10_000);
});

test('[R-O1] the factories refuse what their tables refuse, and parts of the bus by their own names', () => {
  const letters = { ...parts, ...report, keyRing };
  assert.match(
    refusal(() => createDeadLetters({ ...letters, countlimit: 1 } as never)),
    'createDeadLetters: unknown option "countlimit"; did you mean "countLimit"',
  );
  assert.match(
    refusal(() => createDeadLetters({ ...letters, transport: {} } as never)),
    'createDeadLetters: transport must be one made by createMemoryTransport or createRedisTransport',
  );
  assert.match(
    refusal(() => createDeadLetterAuditor({ ...letters, publish: 'telemetry' } as never)),
    'createDeadLetterAuditor: publish must be a function, got "telemetry"',
  );
  assert.match(
    refusal(() => createMemoryTransport({ clocks: 1 } as never)),
    'createMemoryTransport: unknown option "clocks"',
  );
  assert.match(
    refusal(() => createRedisTransport({ url: 'redis://h', stallms: 1 } as never)),
    'createRedisTransport: unknown option "stallms"; did you mean "stallMs"',
  );
  assert.match(
    refusal(() => createRedisTransport({ nodes: ['h'], clustr: true } as never)),
    'did you mean "cluster"',
  );
  assert.match(
    refusal(() => createRedisTransport({ url: 'rediss://h', tls: { cert: 'x' } })),
    'createRedisTransport: tls: cert must be the text of a PEM file',
  );
  assert.match(
    refusal(() => createRedisTransport({ nodes: ['h'], sentinel: {} as never })),
    'createRedisTransport: sentinel: name is missing',
  );
  const oona = (more: object): string => refusal(() => createOona({ ...bus, ...more }));
  assert.match(
    oona({ observe: 'all' }),
    'createOona: observe must be an object of the options of "Observability"',
  );
  assert.match(oona({ observe: { tickMS: 1 } }), 'observe: unknown option "tickMS"');
  assert.match(oona({ breaker: { openBaseMs: 0 } }), 'openBaseMs must be');
  assert.match(oona({ conservativeMode: { dwellMs: -1 } }), 'conservative mode: dwellMs must be');
  assert.match(oona({ streams: { normal: '' } }), 'streams: normal must be letters');
});

test('[R-O1] nothing secret is in an error', () => {
  for (const name of ['url', 'password', 'username', 'nodes', 'natMap']) {
    const text = ['nodes', 'natMap'].includes(name) ? 'hunter2' : 12_345;
    for (const value of [text, 12_345, Symbol('hunter2')]) {
      const told = refusal(() => REDIS_TARGET_OPTIONS.resolve({ [name]: value } as never));
      assert.not.match(told, /hunter2|12345/);
    }
  }
  for (const name of ['ca', 'cert', 'key']) {
    assert.not.match(
      refusal(() => REDIS_TLS_OPTIONS.resolve({ [name]: 'hunter2' })),
      'hunter2',
    );
  }
});

test.run();
