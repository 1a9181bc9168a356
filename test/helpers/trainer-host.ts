import { randomUUID } from 'node:crypto';
import { Metrics } from '../../src/core/metrics.ts';
import { decodeMessage } from '../../src/leyline/codec.ts';
import { readEmergencySignal } from '../../src/leyline/emergency.ts';
import { openEnvelope } from '../../src/leyline/envelope.ts';
import { BusMessageType, type TelemetryPacket } from '../../src/leyline/messages.ts';
import { createOona } from '../../src/oona/oona.ts';
import type { StreamEntry } from '../../src/oona/transport/transport.ts';
import { openEmergencySignal } from '../../src/signals/emergency-signal.ts';
import type { ControllerEvent, EmergencyControllerOptions } from '../../src/tolaria/index.ts';
import { createEmergencyController } from '../../src/tolaria/index.ts';
import { createFaultTransport } from './fault-transport.ts';
import { keyRing } from './oona-fixtures.ts';

const calls = { deadlineMs: 1000 };

/** A trainer's end of the fast path in one process: real flag (process-local), real bus over the memory engine. */
export function createTrainerHost(options: Partial<EmergencyControllerOptions> = {}) {
  const name = `test-${randomUUID()}`;
  const signal = openEmergencySignal(name, { kind: 'process-local', keepAlive: false });
  const transport = createFaultTransport();
  const bus = createOona({ transport, keyRing, source: 'tolaria', hostId: 'host-a' });
  const metrics = new Metrics();
  const controller = createEmergencyController({
    signal,
    bus,
    runId: 'run',
    hostId: 'host-a',
    metrics,
    retryBaseMs: 1,
    retryCapMs: 5,
    ...options,
  });
  const events: ControllerEvent[] = [];
  controller.subscribe((event) => events.push(event));
  const entries = async (stream: string): Promise<readonly StreamEntry[]> => {
    await transport.ensureGroup(stream, 'look', '0', calls);
    const read = { stream, group: 'look', consumer: randomUUID(), which: 'new', afterId: '0' } as const;
    return transport.openReader().read({ ...read, count: 1000, blockMs: 0 }, new AbortController().signal);
  };
  return {
    name,
    signal,
    transport,
    metrics,
    controller,
    events,
    /** Another process-local view of the same flag: somebody else on the host. */
    openOther: () => openEmergencySignal(name, { kind: 'process-local', keepAlive: false }),
    count: (metric: string) => metrics.value(`tolaria.emergency.${metric}`),
    /** What came since the last look, read as a peer reads it. */
    emergencies: async () => {
      const type = BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL;
      const seen = await entries('oona.emergency');
      return seen.map((entry) =>
        readEmergencySignal(decodeMessage(type, openEnvelope(entry, keyRing).payload)),
      );
    },
    telemetry: async (): Promise<TelemetryPacket[]> => {
      const type = BusMessageType.BUS_MESSAGE_TYPE_TELEMETRY;
      const seen = await entries('oona.telemetry');
      return seen.map((entry) => decodeMessage(type, openEnvelope(entry, keyRing).payload));
    },
    close: async () => {
      transport.release();
      await controller.close();
      await bus.close();
      signal.close();
    },
  };
}

export type TrainerHost = ReturnType<typeof createTrainerHost>;

/** Runs a test with a host of its own and closes it, whatever the test does. */
export async function withTrainerHost(
  options: Partial<EmergencyControllerOptions>,
  run: (host: TrainerHost) => void | Promise<void>,
): Promise<void> {
  const host = createTrainerHost(options);
  try {
    await run(host);
  } finally {
    await host.close();
  }
}
