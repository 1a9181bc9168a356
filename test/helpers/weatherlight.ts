import { randomUUID } from 'node:crypto';
import { decodeMessage } from '../../src/leyline/codec.ts';
import { openEnvelope } from '../../src/leyline/envelope.ts';
import type { KeyRing } from '../../src/leyline/key-ring.ts';
import { BusMessageType, type TelemetryPacket } from '../../src/leyline/messages.ts';
import type { ObserveOptions } from '../../src/oona/observe/options.ts';
import { createOona, type Oona } from '../../src/oona/oona.ts';
import type { BusTransport } from '../../src/oona/transport/transport.ts';
import { openEmergencySignal } from '../../src/signals/emergency-signal.ts';
import type { EmergencySignal } from '../../src/signals/types.ts';
import type { WeatherlightEvent } from '../../src/weatherlight/events.ts';
import { type Environment, loadSettings } from '../../src/weatherlight/settings.ts';
import { createWeatherlight, type Weatherlight } from '../../src/weatherlight/weatherlight.ts';
import { until } from './until.ts';

export const SECRET = 'a secret that tests share';

/** A segment name that no other test and no other run uses. */
export function uniqueName(prefix: string): string {
  return `test-${prefix}-${process.pid}-${randomUUID().slice(0, 8)}`;
}

type EventOf<T extends WeatherlightEvent['type']> = Extract<WeatherlightEvent, { type: T }>;

/** Everything a supervisor told, and waiting for what it will tell. */
export class EventLog {
  readonly all: WeatherlightEvent[] = [];

  of<T extends WeatherlightEvent['type']>(type: T): EventOf<T>[] {
    return this.all.filter((event): event is EventOf<T> => event.type === type);
  }

  next<T extends WeatherlightEvent['type']>(
    type: T,
    matches: (event: EventOf<T>) => boolean = () => true,
  ): Promise<EventOf<T>> {
    return until(`event ${type}`, () => this.of(type).find(matches));
  }
}

export interface Host {
  readonly weatherlight: Weatherlight;
  readonly signal: EmergencySignal;
  readonly events: EventLog;
  /** Stops the supervisor and closes what this helper opened. */
  end(): Promise<void>;
}

export interface HostOptions {
  readonly hostId: string;
  /** 'none': no bus at all. */
  readonly transport: BusTransport | 'none';
  /** Default: memory of its own; a name opens shared memory. */
  readonly signal?: EmergencySignal;
  readonly env?: Environment;
  readonly observe?: ObserveOptions;
}

/** A supervisor in this process, over memory of its own and the given bus: one host's worth. */
export async function startHost(options: HostOptions): Promise<Host> {
  const { hostId, transport } = options;
  const signal =
    options.signal ?? openEmergencySignal(uniqueName(hostId), { kind: 'process-local', keepAlive: false });
  const settings = loadSettings({
    ESPER_ALLOW_UNSIGNED: '1',
    ESPER_HOST_ID: hostId,
    ESPER_RUN_ID: 'run',
    TOLARIA_EMERGENCY_SIGNAL_NAME: signal.name,
    ...options.env,
  });
  const bus: Oona | 'none' =
    transport === 'none'
      ? transport
      : createOona({
          ...{ transport, unsigned: true, source: 'weatherlight', hostId, closeTransport: false },
          observe: options.observe ?? {},
        });
  const weatherlight = createWeatherlight(settings, { signal, bus });
  const events = new EventLog();
  weatherlight.subscribe((event) => events.all.push(event));
  await weatherlight.start();
  return {
    weatherlight,
    signal,
    events,
    async end() {
      await weatherlight.stop();
      if (bus !== 'none') await bus.close();
      signal.close();
    },
  };
}

export interface StreamMessage {
  readonly entryId: string;
  readonly messageType: BusMessageType;
  readonly attributes: Readonly<Record<string, string>>;
  readonly payload: Uint8Array;
}

/** Everything on a stream, oldest first, read by a group of its own. */
export async function readStream(
  transport: BusTransport,
  stream: string,
  keyRing?: KeyRing,
): Promise<StreamMessage[]> {
  const call = { deadlineMs: 20_000 };
  const group = `probe-${randomUUID()}`;
  await transport.ensureGroup(stream, group, '0', call);
  const reader = transport.openReader();
  // A wait in the memory engine does not hold the process.
  const hold = setInterval(() => undefined, 1000);
  try {
    const messages: StreamMessage[] = [];
    for (;;) {
      const entries = await reader.read(
        { stream, group, consumer: 'probe', which: 'new', afterId: '0', count: 100, blockMs: 1 },
        new AbortController().signal,
      );
      if (entries.length === 0) return messages;
      for (const { entryId, payload, signature } of entries) {
        messages.push({ entryId, ...openEnvelope({ payload, signature }, keyRing) });
      }
    }
  } finally {
    clearInterval(hold);
    await reader.close();
    await transport.removeGroup(stream, group, call);
  }
}

export async function readTelemetry(
  transport: BusTransport,
  stream = 'oona.telemetry',
  keyRing?: KeyRing,
): Promise<TelemetryPacket[]> {
  const type = BusMessageType.BUS_MESSAGE_TYPE_TELEMETRY;
  // Error events go there, too.
  const messages = (await readStream(transport, stream, keyRing)).filter((one) => one.messageType === type);
  return messages.map(({ payload }) => decodeMessage(type, payload));
}
