import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { Metrics } from '../../src/core/metrics.ts';
import { HostGroupCleaner, type RemovedHostGroup } from '../../src/oona/host-groups.ts';
import { hostGroup } from '../../src/oona/streams.ts';
import { emergency } from '../helpers/oona-fixtures.ts';
import { until } from '../helpers/until.ts';
import { calls, type ReaderBench } from './emergency-bench.ts';

/** What becomes of the groups of hosts that do not come back. */
export function hostGroupTests(test: Test, bench: () => ReaderBench): void {
  function cleaner(
    { transport, stream }: ReaderBench,
    ttlMs: number,
    onRemoved: (one: RemovedHostGroup) => void,
  ) {
    const metrics = new Metrics();
    const parts = { clock: systemClock, random: () => 0.5, metrics, logger: silentLogger };
    const place = { transport, stream, group: hostGroup('host-a'), callDeadlineMs: calls.deadlineMs };
    return { metrics, cleaner: new HostGroupCleaner({ ...place, ttlMs, onRemoved, ...parts }) };
  }

  test('[R-O1] the group of a host that is gone is removed and told of, with what it left; who reads stays', async () => {
    const made = bench();
    const { transport, stream } = made;
    const oona = made.bus();
    const staying = made.host({ hostId: 'host-b', oona: { maxAgeMs: 2000 }, reader: { blockMs: 20 } });
    await staying.reader.start();
    await transport.ensureGroup(stream, hostGroup('gone'), '0', calls);
    await transport.ensureGroup(stream, 'somebody-elses', '0', calls);
    await oona.publishEmergency(emergency());
    const reader = transport.openReader();
    const place = { stream, group: hostGroup('gone'), consumer: 'gone', afterId: '0', count: 10, blockMs: 0 };
    assert.is((await reader.read({ ...place, which: 'new' }, new AbortController().signal)).length, 1);
    await reader.close();
    const told: RemovedHostGroup[] = [];
    const { metrics, cleaner: own } = cleaner(made, 700, (one) => told.push(one));
    assert.equal(await own.look(), [], 'nobody is silent for so long yet');
    await until('it is told of', async () => (await own.look()).length > 0);
    assert.equal(told, [{ stream, group: hostGroup('gone'), pending: 1 }]);
    const groups = (await transport.groups(stream, calls)).map(({ group }) => group).sort();
    assert.equal(groups, [hostGroup('host-b'), 'somebody-elses']);
    assert.is(metrics.value('oona.emergency.host_groups_removed_total'), 1);
  });
}
