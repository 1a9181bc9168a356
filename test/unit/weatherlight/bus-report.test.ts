import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createMemoryTransport } from '../../../src/oona/transport/memory.ts';
import { appendRaw, emergency, sealed } from '../../helpers/oona-fixtures.ts';
import { until } from '../../helpers/until.ts';
import { type Host, readTelemetry, startHost } from '../../helpers/weatherlight.ts';

const test = suite('weatherlight and what its bus reports');

test('[R-O3][R-W1] the bus of a supervisor reports its health; what all hosts refuse is one dead letter', async () => {
  const transport = createMemoryTransport();
  const hosts: Host[] = [];
  for (const hostId of ['a', 'b']) {
    hosts.push(await startHost({ hostId, transport, observe: { healthIntervalMs: 100 } }));
  }
  await appendRaw(transport, 'oona.emergency', { ...sealed(emergency()), payload: Buffer.from([255]) });
  for (const { events } of hosts) await events.next('rejected');
  const call = { deadlineMs: 10_000 };
  await until('both hosts done', async () => {
    const groups = await transport.groups('oona.emergency', call);
    return groups.length === 2 && groups.every(({ pending }) => pending === 0);
  });
  const range = { stream: 'oona.deadletter', after: '', count: 10, newestFirst: false };
  assert.is((await transport.range(range, call)).length, 1);
  for (const hostId of ['a', 'b']) {
    const packet = await until(`the health of ${hostId}`, async () =>
      (await readTelemetry(transport)).find((one) => {
        const indicators = one.systemHealth?.indicators ?? {};
        return indicators.host === hostId && Object.keys(indicators).length > 1;
      }),
    );
    assert.is(packet.sourceSubsystem, 'weatherlight');
  }
  for (const host of hosts) await host.end();
  await transport.close();
});

test.run();
