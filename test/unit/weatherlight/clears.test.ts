import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EmergencyLevel } from '../../../src/leyline/messages.ts';
import { createMemoryTransport } from '../../../src/oona/transport/memory.ts';
import { until } from '../../helpers/until.ts';
import { type Host, readStream, startHost } from '../../helpers/weatherlight.ts';

const test = suite('weatherlight clears between hosts');
const {
  EMERGENCY_LEVEL_UNSPECIFIED: NONE,
  EMERGENCY_LEVEL_CONSERVATIVE: CONSERVATIVE,
  EMERGENCY_LEVEL_HALT: HALT,
} = EmergencyLevel;

async function twoHosts(run: (a: Host, b: Host) => Promise<void>): Promise<void> {
  const transport = createMemoryTransport();
  const a = await startHost({ hostId: 'a', transport });
  const b = await startHost({ hostId: 'b', transport });
  try {
    await run(a, b);
  } finally {
    await a.end();
    await b.end();
    await transport.close();
  }
}

test('[R-F3] a fresh host does not obey a HALT that ended before it came', async () => {
  const transport = createMemoryTransport();
  const a = await startHost({ hostId: 'a', transport });
  const signalIds = [a.signal.trigger(HALT, { runId: 'run' }), a.signal.trigger(HALT, { runId: 'run' })];
  a.signal.clear(a.signal.read(), { force: true, runId: 'run' });
  const standing = a.signal.trigger(CONSERVATIVE, { runId: 'run' });
  await until('all on the stream', async () => (await readStream(transport, 'oona.emergency')).length === 4);
  const b = await startHost({ hostId: 'b', transport });
  await b.events.next('bridged', (event) => event.signalId === standing);
  assert.is(b.signal.level(), CONSERVATIVE);
  for (const signalId of signalIds) assert.is(b.signal.find(signalId), undefined);
  assert.is(b.events.of('haltStarted').length, 0);
  await a.end();
  await b.end();
  await transport.close();
});

test('[R-F3] two supervisors with one host id, one a run, both hear every emergency', async () => {
  const transport = createMemoryTransport();
  const a = await startHost({ hostId: 'a', transport });
  const [b1, b2] = [
    await startHost({ hostId: 'b', transport }),
    await startHost({ hostId: 'b', transport, env: { ESPER_RUN_ID: 'other' } }),
  ];
  const signalIds = Array.from({ length: 6 }, () => a.signal.trigger(HALT, { runId: 'run' }));
  for (const signalId of signalIds) {
    await b1.events.next('bridged', (event) => event.signalId === signalId);
    await b2.events.next('foreignRun', (event) => event.emergency.signalId === signalId);
  }
  for (const host of [a, b1, b2]) await host.end();
  await transport.close();
});

test('[R-F3] one clear ends on every host the HALTs of several', async () => {
  await twoHosts(async (a, b) => {
    const own = b.signal.trigger(HALT, { runId: 'run' });
    await a.events.next('bridged', (event) => event.signalId === own);
    const other = a.signal.trigger(HALT, { runId: 'run' });
    await b.events.next('bridged', (event) => event.signalId === other);
    assert.is(a.signal.clear(a.signal.read(), { force: true, runId: 'run' }).outcome, 'cleared');
    const bridged = await b.events.next('bridgedClear');
    assert.ok(bridged.outcome === 'cleared' || bridged.outcome === 'forced', bridged.outcome);
    assert.is(b.signal.level(), NONE);
  });
});

test('[R-F3] a clear lowers nothing when the ring lost what stands', async () => {
  await twoHosts(async (a, b) => {
    const signalId = a.signal.trigger(CONSERVATIVE, { runId: 'run' });
    await b.events.next('bridged');
    b.signal.trigger(HALT, { runId: 'run', remoteSignalId: 'of-a-third-host' });
    // The ring is overwritten with what the clear covers; the HALT stands all the same.
    for (let i = 0; i < 300; i++) b.signal.trigger(CONSERVATIVE, { runId: 'run', remoteSignalId: signalId });
    assert.is(b.signal.find('of-a-third-host'), undefined);
    a.signal.clear(a.signal.read(), { force: true, runId: 'run' });
    const bridged = await b.events.next('bridgedClear');
    assert.equal([bridged.clearedSignalId, bridged.outcome], [signalId, 'other-emergency']);
    assert.is(b.signal.level(), HALT);
  });
});

test.run();
