import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { silentLogger } from '../../src/core/logger.ts';
import { TelemetryLevel, type TelemetryPacket } from '../../src/leyline/messages.ts';
import {
  type AuditReport,
  createDeadLetterAuditor,
  type DeadLetterAuditor,
  type DeadLetterAuditorOptions,
} from '../../src/oona/dead-letters/auditor.ts';
import { type LetterBench, sealedState } from '../helpers/dead-letters.ts';
import { createManualClock, type ManualClock } from '../helpers/manual-clock.ts';
import { until } from '../helpers/until.ts';
import { rejection } from './transport-bench.ts';

const { TELEMETRY_LEVEL_ERROR: ERROR, TELEMETRY_LEVEL_WARNING: WARNING } = TelemetryLevel;
const never = new AbortController().signal;

interface Audit {
  readonly auditor: DeadLetterAuditor;
  readonly packets: TelemetryPacket[];
  /** Moves the auditor's own time; the engine has its own. */
  readonly clock: ManualClock;
  outcome: string;
}

function auditOf(bench: LetterBench, more: Partial<DeadLetterAuditorOptions> = {}): Audit {
  const packets: TelemetryPacket[] = [];
  const clock = createManualClock();
  const { transport, streams, metrics } = bench;
  const audit = { packets, clock, outcome: 'published' };
  const publish = async (packet: TelemetryPacket): Promise<{ outcome: string }> => {
    packets.push(packet);
    return { outcome: audit.outcome };
  };
  const parts = { transport, streams, metrics, publish, clock, logger: silentLogger, callDeadlineMs: 10_000 };
  const auditor = createDeadLetterAuditor({ ...parts, intervalMs: 1000, errorRatePerMinute: 1000, ...more });
  return Object.assign(audit, { auditor });
}

const metricOf = (packet: TelemetryPacket | undefined, name: string): number | null | undefined =>
  packet?.metrics.find((point) => point.name === `oona.dead_letters.${name}`)?.value;

/** Who looks after the dead letters. */
export function auditTests(test: Test, bench: () => LetterBench): void {
  test('[R-O6] the auditor tells what is new: reason, origin, type and how many; nothing of the messages', async () => {
    const { streams, bury, metrics } = bench();
    const { auditor, packets } = auditOf(bench());
    await bury(sealedState(streams.normal), { messageType: 1, error: 'first' });
    const letterId = await bury(sealedState(streams.normal, { secret: 'marmalade' }), {
      messageType: 1,
      error: 'last',
    });
    await bury(sealedState(streams.policy), { stream: streams.policy, reason: 'ESPER_OONA_TOO_OLD' });
    const report = await auditor.look(never);
    assert.equal([report.fresh, report.sampled, report.told], [3, false, 'told']);
    const [packet] = packets;
    assert.equal([packets.length, packet?.sourceSubsystem, packet?.level], [1, 'oona', WARNING]);
    assert.equal(
      packet?.events.map(({ attributes, level }) => [
        attributes?.code,
        attributes?.origin_stream,
        attributes?.count,
        level,
      ]),
      [
        ['ESPER_OONA_DELIVERIES_EXHAUSTED', streams.normal, '2', WARNING],
        ['ESPER_OONA_TOO_OLD', streams.policy, '1', WARNING],
      ],
    );
    const first = packet?.events[0]?.attributes;
    assert.equal([first?.last_letter_id, first?.error], [letterId, 'last']);
    assert.equal(
      [first?.message_type, first?.dead_letter_stream],
      ['BUS_MESSAGE_TYPE_SYSTEM_STATE', streams.deadLetter],
    );
    assert.is(metricOf(packet, 'new'), 3);
    assert.not.match(JSON.stringify(packet), /marmalade/);
    assert.is(metrics.value('oona.dead_letters.found_total'), 3);
    assert.is(metrics.value('oona.dead_letters.found.ESPER_OONA_TOO_OLD_total'), 1);
    assert.is(metrics.value('oona.dead_letters.audit_told_total'), 1);
  });

  test('[R-O6] nothing new, nothing told', async () => {
    const { streams, bury } = bench();
    const { auditor, packets } = auditOf(bench());
    assert.is((await auditor.look(never)).told, 'nothing-new');
    await bury(sealedState(streams.normal));
    await auditor.look(never);
    const again = await auditor.look(never);
    assert.equal([again.fresh, again.told, packets.length], [0, 'nothing-new', 1]);
    assert.equal(auditor.last(), again);
  });

  test('[R-O6] the first look goes back so far and no farther', async () => {
    const { streams, bury } = bench();
    await bury(sealedState(streams.normal));
    const { auditor } = auditOf(bench(), { lookBackMs: 0 });
    await new Promise((resolve) => setTimeout(resolve, 5));
    const report = await auditor.look(never);
    assert.is(report.fresh, 0);
    assert.ok(report.oldestAgeMs > 0);
  });

  test('[R-O6] the level follows the rate', async () => {
    const { streams, bury } = bench();
    const { auditor, packets } = auditOf(bench(), { errorRatePerMinute: 3, lookBackMs: 60_000 });
    await bury(sealedState(streams.normal));
    await auditor.look(never);
    for (let i = 0; i < 4; i++) await bury(sealedState(streams.normal));
    const report = await auditor.look(never);
    assert.equal(
      packets.map(({ level }) => level),
      [WARNING, ERROR],
      'worse is told at once',
    );
    assert.ok(report.ratePerMinute > 3);
  });

  test('[R-O6] while letters of one kind keep coming, packets become rarer, and count what came between', async () => {
    const { streams, bury } = bench();
    const { auditor, packets, clock } = auditOf(bench(), { tellCapMs: 4000 });
    const told: string[] = [];
    for (let i = 0; i < 16; i++) {
      await bury(sealedState(streams.normal));
      told.push((await auditor.look(never)).told);
      clock.advance(1000);
    }
    const at = told.flatMap((what, i) => (what === 'told' ? [i] : []));
    assert.equal(at, [0, 1, 3, 7, 11, 15]);
    assert.equal(
      packets.map((packet) => metricOf(packet, 'new')),
      [1, 1, 2, 4, 4, 4],
    );
    await bury(sealedState(streams.normal), { reason: 'ESPER_OONA_TOO_OLD' });
    assert.is((await auditor.look(never)).told, 'told', 'another code does not wait');
    clock.advance(4000);
    assert.is((await auditor.look(never)).told, 'nothing-new');
    const after: string[] = [];
    for (const [reason, waitMs] of [
      ['ESPER_A', 0],
      ['ESPER_OONA_TOO_OLD', 0],
      ['ESPER_A', 0],
      ['ESPER_A', 2000],
    ] as const) {
      clock.advance(waitMs);
      await bury(sealedState(streams.normal), { reason });
      after.push((await auditor.look(never)).told);
    }
    assert.equal(after, ['told', 'told', 'waits', 'told'], 'after quiet it begins anew');
  });

  test('[R-O6] what comes last is told although nothing comes after it', async () => {
    const { streams, bury } = bench();
    const { auditor, packets, clock } = auditOf(bench());
    for (const expected of ['told', 'waits'] as const) {
      await bury(sealedState(streams.normal));
      assert.is((await auditor.look(never)).told, expected);
    }
    clock.advance(1000);
    assert.equal([(await auditor.look(never)).told, packets.length], ['told', 2]);
  });

  test('[R-O6] what could not be published is told with the next packet', async () => {
    const { streams, bury, metrics } = bench();
    const audit = auditOf(bench());
    audit.outcome = 'failed';
    await bury(sealedState(streams.normal));
    assert.is((await audit.auditor.look(never)).told, 'not-published');
    audit.outcome = 'published';
    assert.is((await audit.auditor.look(never)).told, 'told');
    assert.is(metricOf(audit.packets[1], 'new'), 1);
    assert.is(metrics.value('oona.dead_letters.audit_not_published_total'), 1);
    const throwing = auditOf(bench(), { publish: () => Promise.reject(new Error('away')) });
    assert.is((await throwing.auditor.look(never)).told, 'not-published');
  });

  test('[R-O6] one look reads no more than its limit, and says so', async () => {
    const { streams, bury, metrics } = bench();
    const { auditor } = auditOf(bench(), { sampleLimit: 5 });
    for (let i = 0; i < 12; i++) await bury(sealedState(streams.normal));
    const first = await auditor.look(never);
    assert.equal([first.fresh, first.sampled], [5, true]);
    assert.equal(
      [(await auditor.look(never)).fresh, metrics.value('oona.dead_letters.audit_sampled_total')],
      [0, 1],
    );
    for (let i = 0; i < 5; i++) await bury(sealedState(streams.normal));
    const last = await auditor.look(never);
    assert.equal([last.fresh, last.sampled], [5, false]);
  });

  test('[R-O6] however many kinds there are, packet and counters are bounded', async () => {
    const { streams, bury, metrics } = bench();
    const { auditor, packets } = auditOf(bench());
    for (let i = 0; i < 50; i++) await bury(sealedState(streams.normal), { reason: `CODE_${i}` });
    await auditor.look(never);
    const events = packets[0]?.events ?? [];
    assert.is(events.length, 17);
    assert.is(
      events.reduce((sum, { attributes }) => sum + Number(attributes?.count), 0),
      50,
    );
    const { counters } = metrics.snapshot();
    assert.is(Object.keys(counters).filter((name) => name.startsWith('oona.dead_letters.found.')).length, 33);
  });

  test('[R-O6] auditors of several hosts give what they tell of the same letters one id', async () => {
    const { streams, bury } = bench();
    const [a, b, c] = [auditOf(bench()), auditOf(bench()), auditOf(bench())];
    await bury(sealedState(streams.normal));
    await c.auditor.look(never);
    const newest = await bury(sealedState(streams.policy), { stream: streams.policy, reason: 'ESPER_X' });
    for (const { auditor } of [a, b, c]) await auditor.look(never);
    const ids = [a, b, c].map(({ packets }) => packets.map(({ packetId }) => packetId));
    assert.is(ids[0]?.[0], `dead-letters:${streams.deadLetter}:${newest}:2`);
    assert.equal(ids[1], ids[0]);
    // The third has told of the first letter already.
    assert.is(ids[2]?.[1], `dead-letters:${streams.deadLetter}:${newest}:1`);
    assert.is(new Set(ids.flat()).size, 3);
  });

  test('[R-O6] a look that fails is told as that, and the next one misses nothing', async () => {
    const { streams, bury, metrics } = bench();
    const { auditor } = auditOf(bench());
    await bury(sealedState(streams.normal));
    const stopped = await auditor.look(AbortSignal.abort());
    assert.equal([stopped.failure?.code, stopped.told], ['ESPER_OONA_ABORTED', 'nothing-new']);
    assert.is(metrics.value('oona.dead_letters.audit_failed_total'), 1);
    assert.is((await auditor.look(never)).fresh, 1);
  });

  test('[R-O6] each look tells how many letters there are, of which types, whoever listens', async () => {
    const { streams, bury, metrics } = bench();
    const looks: unknown[] = [];
    const onLook = ({ total, byMessageType }: AuditReport): void => {
      looks.push([total, byMessageType]);
      throw new Error('not my day');
    };
    const { auditor } = auditOf(bench(), { onLook });
    await auditor.look(never);
    await bury(sealedState(streams.normal), { messageType: 1 });
    await bury(sealedState(streams.normal));
    assert.is((await auditor.look(never)).failure, undefined);
    await auditor.look(AbortSignal.abort());
    assert.equal(looks, [
      [0, {}],
      [2, { BUS_MESSAGE_TYPE_SYSTEM_STATE: 1, unreadable: 1 }],
    ]);
    assert.is(metrics.value('oona.dead_letters.total'), 2);
  });

  test('[R-O6] run looks on its interval and ends when it is told to', async () => {
    const { streams, bury } = bench();
    const { auditor, packets, clock } = auditOf(bench());
    const stop = new AbortController();
    const running = auditor.run(stop.signal);
    await until('the first look', () => clock.sleepers === 1);
    assert.is(packets.length, 0);
    await bury(sealedState(streams.normal));
    clock.advance(1000);
    await until('the packet', () => packets.length === 1);
    stop.abort();
    await running;
    assert.is(clock.sleepers, 0);
  });

  test('[R-O6] an auditor with senseless options is refused', async () => {
    for (const more of [
      { intervalMs: 1 },
      { sampleLimit: 0 },
      { tellCapMs: Number.NaN },
      { errorRatePerMinute: -1 },
    ]) {
      const made = Promise.resolve().then(() => auditOf(bench(), more));
      assert.is((await rejection(made)).code, 'ESPER_OPTION_INVALID');
    }
  });
}
