import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { appendRaw, badRows, emergency, signed } from '../helpers/oona-fixtures.ts';
import { until } from '../helpers/until.ts';
import { idOf, type ReaderBench } from './emergency-bench.ts';

/** A bad entry between two good ones: both arrive, the bad one is told and acknowledged. */
async function survives({ host, pending, transport, stream }: ReaderBench, name: string): Promise<void> {
  const row = badRows().find((candidate) => candidate.name === name);
  if (row === undefined) throw new Error(`no row ${name}`);
  const { oona, reader, delivered, rejected } = host();
  const [before, after] = [emergency(), emergency()];
  await oona.publishEmergency(before);
  const entryId = await appendRaw(transport, stream, row.entry);
  await oona.publishEmergency(after);
  await reader.start();
  await until('both good messages', () => delivered.length === 2);
  assert.equal(delivered.map(idOf), [before.signalId, after.signalId]);
  assert.equal(
    rejected.map((one) => [one.code, one.entryId, one.stream]),
    [[row.code, entryId, stream]],
  );
  const { rejected: count, rejectedByCode } = reader.stats();
  assert.equal([count, rejectedByCode], [1, { [row.code]: 1 }]);
  assert.is(oona.metrics.value('oona.emergency.rejected_total'), 1);
  await until('everything acknowledged', async () => (await pending()) === 0);
}

/** Entries that must not be obeyed, among those that must. */
export function badInputTests(test: Test, bench: () => ReaderBench): void {
  test('[BAD-envelope-empty] an entry without payload is dropped, told and counted', () =>
    survives(bench(), 'BAD-envelope-empty'));

  test('[BAD-envelope-truncated] a cut envelope is dropped, told and counted', () =>
    survives(bench(), 'BAD-envelope-truncated'));

  test('[BAD-envelope-unsigned] an unsigned entry is dropped, told and counted', () =>
    survives(bench(), 'BAD-envelope-unsigned'));

  test('[BAD-envelope-other-key] an entry of a foreign key is dropped, told and counted', () =>
    survives(bench(), 'BAD-envelope-other-key'));

  test('[BAD-signature-non-ascii] a signature that is not ASCII is dropped, told and counted', () =>
    survives(bench(), 'BAD-signature-non-ascii'));

  test('[BAD-unknown-message-type] an unknown type is dropped, told and counted', () =>
    survives(bench(), 'BAD-unknown-message-type'));

  test('[BAD-unknown-enum-value][BAD-level-9] an unknown level is dropped, told and counted', () =>
    survives(bench(), 'BAD-unknown-enum-value'));

  test('[BAD-level-0] a level nobody set is dropped, told and counted', () => survives(bench(), 'level 0'));

  test('[R-O1] an envelope without a message is dropped, told and counted', () =>
    survives(bench(), 'an envelope without a message'));

  test('[R-O1] signed noise is dropped, told and counted', () => survives(bench(), 'noise'));

  test('[R-O1] an entry replayed from another stream is dropped, told and counted', () =>
    survives(bench(), 'replayed from another stream'));

  test('[R-O1] an emergency that is too old is dropped, told and counted', () =>
    survives(bench(), 'too old'));

  test('[R-O1] an emergency from the future is dropped, told and counted', () =>
    survives(bench(), 'from the future'));

  test('[BAD-envelope-64mib] 64 MiB are dropped without being decoded, told and counted', async () => {
    const { host, pending, transport, stream } = bench();
    const { oona, reader, delivered, rejected } = host();
    await appendRaw(transport, stream, signed(new Uint8Array(64 * 1024 * 1024)));
    const after = emergency();
    await oona.publishEmergency(after);
    await reader.start();
    await until('the good message', () => delivered.length === 1);
    assert.equal(delivered.map(idOf), [after.signalId]);
    assert.equal(
      rejected.map(({ code }) => code),
      ['ESPER_LEYLINE_TOO_LARGE'],
    );
    await until('everything acknowledged', async () => (await pending()) === 0);
  });

  test('[R-O1][R-O2] what every host refuses is one dead letter, and pending at none', async () => {
    const { host, pending, transport, stream } = bench();
    const streams = { emergency: stream, deadLetter: `${stream}.dead` };
    const hosts = ['host-a', 'host-b'].map((hostId) => host({ hostId, oona: { streams } }));
    const row = badRows().find(({ name }) => name === 'BAD-envelope-other-key');
    if (row === undefined) throw new Error('no such row');
    const entryIds = [
      await appendRaw(transport, stream, row.entry),
      await appendRaw(transport, stream, row.entry),
    ];
    await Promise.all(hosts.map(({ reader }) => reader.start()));
    await until('refused by both', () => hosts.every(({ rejected }) => rejected.length === 2));
    for (const hostId of ['host-a', 'host-b']) {
      await until(`acknowledged by ${hostId}`, async () => (await pending(hostId)) === 0);
    }
    const range = { stream: streams.deadLetter, after: '', count: 10, newestFirst: false };
    const letters = await transport.range(range, { deadlineMs: 10_000 });
    const origins = letters.map(({ fields }) => Buffer.from(fields.get('origin_id') ?? []).toString());
    assert.equal(origins, entryIds);
  });

  test('[R-O1] all kinds of bad entries in one batch lose none of the good ones between them', async () => {
    const { host, pending, transport, stream } = bench();
    const { oona, reader, delivered, rejected } = host();
    const good: string[] = [];
    const rows = badRows();
    for (const row of rows) {
      const message = emergency();
      good.push(message.signalId);
      await appendRaw(transport, stream, row.entry);
      await oona.publishEmergency(message);
    }
    await reader.start();
    await until('all good messages', () => delivered.length === rows.length);
    assert.equal(delivered.map(idOf), good);
    assert.equal(
      rejected.map(({ code }) => code),
      rows.map(({ code }) => code),
    );
    const { delivered: handled, rejected: dropped, duplicates, lost, skipped } = reader.stats();
    assert.equal([handled, dropped, duplicates, lost, skipped], [rows.length, rows.length, 0, 0, 0]);
    await until('everything acknowledged', async () => (await pending()) === 0);
  });

  test('[R-O1] dead letters that cannot be stored hold back no emergency; each refusal is told once and kept until they can', async () => {
    const { host, pending, transport, stream } = bench();
    const away = { is: true };
    const deadLetter: typeof transport.deadLetter = (...args) =>
      away.is ? Promise.reject(new Error('OOM')) : transport.deadLetter(...args);
    const broken = new Proxy(transport, {
      get(target, key) {
        if (key === 'deadLetter') return deadLetter;
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const { oona, reader, delivered, rejected } = host({ oona: { transport: broken } });
    await reader.start();
    for (let i = 0; i < 70; i++) await appendRaw(transport, stream, signed(new Uint8Array(8).fill(255)));
    await until('all refused', () => rejected.length === 70);
    for (let i = 0; i < 3; i++) await oona.publishEmergency(emergency());
    await until('the good ones', () => delivered.length === 3);
    assert.equal([rejected.length, reader.stats().rejected, await pending()], [70, 70, 70]);
    assert.ok(oona.metrics.value('oona.emergency.dead_letter_failures_total') > 0);
    away.is = false;
    await until('everything acknowledged', async () => (await pending()) === 0);
    assert.equal([rejected.length, reader.stats().errors], [70, 0]);
  });

  test('[R-O1] an onRejected that throws changes nothing', async () => {
    const { host, transport, stream } = bench();
    const onRejected = (): never => {
      throw new Error('not my day');
    };
    const { oona, reader, delivered } = host({ reader: { onRejected } });
    await appendRaw(transport, stream, signed(new Uint8Array(8).fill(255)));
    await oona.publishEmergency(emergency());
    await reader.start();
    await until('the good message', () => delivered.length === 1);
    assert.is(reader.stats().rejected, 1);
  });
}
