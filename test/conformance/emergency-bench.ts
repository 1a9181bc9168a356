import { randomUUID } from 'node:crypto';
import type { RejectedEmergency } from '../../src/oona/emergency-inbox.ts';
import type { EmergencyReader } from '../../src/oona/emergency-reader.ts';
import { createOona, type Oona } from '../../src/oona/oona.ts';
import type { OonaOptions } from '../../src/oona/options.ts';
import type { EmergencyReaderOptions } from '../../src/oona/reader-options.ts';
import { hostGroup } from '../../src/oona/streams.ts';
import type { BusTransport } from '../../src/oona/transport/transport.ts';
import type { EmergencyDelivery, EmergencyHandler } from '../../src/oona/types.ts';
import { keyRing } from '../helpers/oona-fixtures.ts';

export const calls = { deadlineMs: 10_000 };
export const idOf = ({ message }: EmergencyDelivery): string => message.signalId;

export interface Host {
  readonly oona: Oona;
  readonly reader: EmergencyReader;
  readonly delivered: EmergencyDelivery[];
  readonly rejected: RejectedEmergency[];
}

export interface HostOptions {
  readonly hostId?: string;
  readonly handler?: EmergencyHandler;
  readonly oona?: Partial<OonaOptions>;
  readonly reader?: EmergencyReaderOptions;
}

/** What a test of the emergency reader works with: an emergency stream of its own and hosts on it. */
export interface ReaderBench {
  readonly transport: BusTransport;
  readonly stream: string;
  bus(more?: Partial<OonaOptions>): Oona;
  host(options?: HostOptions): Host;
  /** Entries handed to the host and not acknowledged; undefined without a group. */
  pending(hostId?: string): Promise<number | undefined>;
  close(): Promise<void>;
}

export function openReaderBench(transport: BusTransport): ReaderBench {
  const stream = `test.${randomUUID()}`;
  const opened: Oona[] = [];
  const bus = (more: Partial<OonaOptions> = {}): Oona => {
    const streams = { emergency: stream };
    const signing = more.unsigned ? {} : { keyRing };
    const oona = createOona({
      ...{ transport, ...signing, source: 'test', hostId: 'host-a', streams, closeTransport: false },
      ...more,
    });
    opened.push(oona);
    return oona;
  };
  const host = (options: HostOptions = {}): Host => {
    const oona = bus({ hostId: options.hostId ?? 'host-a', ...options.oona });
    const delivered: EmergencyDelivery[] = [];
    const rejected: RejectedEmergency[] = [];
    const handler: EmergencyHandler = async (delivery) => {
      await options.handler?.(delivery);
      delivered.push(delivery);
    };
    const onRejected = (one: RejectedEmergency): void => void rejected.push(one);
    const pace = { blockMs: 200, retryCapMs: 20 };
    const reader = oona.emergencyReader(handler, { ...pace, onRejected, ...options.reader });
    return { oona, reader, delivered, rejected };
  };
  const pending = async (hostId = 'host-a'): Promise<number | undefined> => {
    const groups = await transport.groups(stream, calls);
    return groups.find(({ group }) => group === hostGroup(hostId))?.pending;
  };
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((oona) => oona.close()));
    await transport.close();
  };
  return { transport, stream, bus, host, pending, close };
}
