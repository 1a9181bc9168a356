import { type BackoffOptions, backoffDelayMs } from '../core/backoff.ts';
import { errorMessage } from '../core/errors.ts';
import { createKeyRing, type KeyRing } from '../leyline/key-ring.ts';
import type { EmergencyReader } from '../oona/emergency-reader.ts';
import type { EmergencyReaderStats } from '../oona/emergency-stats.ts';
import { createOona, type Oona } from '../oona/oona.ts';
import type { PublishErrorEvent } from '../oona/publish/error-events.ts';
import { createMemoryTransport } from '../oona/transport/memory.ts';
import { createRedisTransport } from '../oona/transport/redis.ts';
import { redisTlsFromEnvironment } from '../oona/transport/redis-tls.ts';
import type { BusTransport } from '../oona/transport/transport.ts';
import type { EmergencyDelivery, EmergencyHandler } from '../oona/types.ts';
import type { Context } from './context.ts';
import type { Settings } from './settings.ts';

/** The depth of its streams is of no use to the supervisor itself: it is in the health packet, which goes as often. */
const DEPTH_INTERVAL_MS = 10_000;
const RETRY: BackoffOptions = Object.freeze({ baseMs: 100, capMs: 5000 });

function keyRingOf(settings: Settings): KeyRing | undefined {
  if (settings.secret === undefined) return undefined;
  return createKeyRing({
    current: { secret: settings.secret.reveal() },
    previous: settings.previousSecrets.map((secret) => ({ secret: secret.reveal() })),
  });
}

function openTransport(
  { redisUrl, redisTls, waitReplicas }: Settings,
  { clock, random, logger }: Pick<Context, 'clock' | 'random' | 'logger'>,
): BusTransport {
  if (redisUrl === undefined) return createMemoryTransport();
  const tls = redisTlsFromEnvironment(redisTls);
  const url = redisUrl.reveal();
  return createRedisTransport({ url, ...(tls && { tls }), waitReplicas, clock, random, logger });
}

/** The bus that the settings ask for: Redis, or the embedded one that lives in this process. Does not connect yet. */
export function openBus(
  settings: Settings,
  parts: Pick<Context, 'clock' | 'random' | 'metrics' | 'logger'>,
  onErrorEvent: (event: PublishErrorEvent) => void,
): Oona {
  const { streams } = settings;
  const { clock, random, metrics, logger } = parts;
  const transport = openTransport(settings, parts);
  const keyRing = keyRingOf(settings);
  return createOona({
    transport,
    ...(keyRing === undefined ? { unsigned: true } : { keyRing }),
    source: 'weatherlight',
    hostId: settings.hostId,
    streams,
    maxAgeMs: settings.messageTtlMs,
    observe: { depthIntervalMs: DEPTH_INTERVAL_MS },
    ...{ onErrorEvent, clock, random, metrics, logger },
  });
}

export type BusState = 'up' | 'away' | 'disabled';

/** Keeps the emergency reader going and says when the bus comes and goes. Nothing here is awaited by the detection. */
export interface BusLink {
  readonly kind: 'redis' | 'memory' | 'none';
  state(): BusState;
  /** Compares the state with the last one told; returns it when it changed. */
  changed(): BusState | undefined;
  /**
   * Starts a reader, connects the publisher, retrying until the bus answers, and has the bus report; ends when aborted.
   * The reader goes on until stopReading().
   */
  run(stop: AbortSignal): Promise<void>;
  /** Stops the reader: entries that it has handed out are settled first. */
  stopReading(): Promise<void>;
  readerStats(): EmergencyReaderStats | undefined;
}

/** Where what was read goes. */
export interface BusReceiver {
  /** `stop`: aborted when the run ends that read it. */
  readonly handle: (delivery: EmergencyDelivery, stop: AbortSignal) => ReturnType<EmergencyHandler>;
  /** What waited on the stream when the reader connected, before it is handled. */
  readonly prepare: (deliveries: readonly EmergencyDelivery[]) => void;
}

export function createBusLink(context: Context, oona: Oona | undefined, receiver: BusReceiver): BusLink {
  let runStop = new AbortController().signal;
  let isStopped = false;
  let told: BusState | undefined;

  function openReader(): EmergencyReader | undefined {
    return oona?.emergencyReader((delivery) => receiver.handle(delivery, runStop), {
      onBacklog: receiver.prepare,
      // Two runs on one host are two supervisors with one host id: each has to hear everything.
      readerId: context.settings.signalName,
      onRejected({ code, reason, entryId }) {
        context.emit({ type: 'rejected', code, reason, entryId });
      },
    });
  }

  let reader = openReader();

  function state(): BusState {
    if (oona === undefined) return 'disabled';
    return oona.transport.connected ? 'up' : 'away';
  }

  return {
    kind: oona?.transport.kind ?? 'none',
    state,
    changed() {
      const now = state();
      if (now === told) return undefined;
      told = now;
      return now;
    },
    async run(stop) {
      if (oona === undefined) return;
      runStop = stop;
      // One that was stopped does not start again.
      if (isStopped) reader = openReader();
      isStopped = false;
      // Its own loop reconnects; what it resolves to says nothing about the bus being there.
      await reader?.start();
      // The publisher connects at its first call: that must not be the call that carries a HALT.
      for (let attempt = 0; !stop.aborted; attempt++) {
        try {
          await oona.ensureReady({ signal: stop });
          // Health packet of the bus and what is new among the dead letters; ends when the bus is closed.
          if (!stop.aborted) oona.startReporting();
          return;
        } catch (error) {
          context.logger.debug({ error: errorMessage(error), attempt }, 'bus does not answer yet');
          const delayMs = backoffDelayMs(attempt, RETRY, context.random);
          await context.clock.sleep(delayMs, stop).catch(() => undefined);
        }
      }
    },
    async stopReading() {
      isStopped = true;
      await reader?.stop();
    },
    readerStats: () => reader?.stats(),
  };
}
