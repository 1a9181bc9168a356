import type { Clock } from '../../src/core/clock.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { Metrics } from '../../src/core/metrics.ts';
import { type CodableType, type MessageInput, openEnvelope } from '../../src/leyline/index.ts';
import type { EndedPublish, StreamRole } from '../../src/oona/observe/observers.ts';
import type { PublishErrorEvent } from '../../src/oona/publish/error-events.ts';
import {
  createPublishing,
  type PublishingParts,
  type PublishingTuning,
} from '../../src/oona/publish/publishing.ts';
import { DEFAULT_STREAMS } from '../../src/oona/streams.ts';
import type { BusTransport, RawEntry } from '../../src/oona/transport/transport.ts';
import type { BusMessage } from '../../src/oona/work-types.ts';
import { keyRing } from './oona-fixtures.ts';
import { seededRandom } from './seeded.ts';

/** A message of any type, without the casts that a generic call would need. */
export function message<T extends CodableType>(type: T, input: MessageInput<T>): BusMessage {
  return { type, message: input } as BusMessage;
}

export interface PublishingRig extends ReturnType<typeof createPublishing> {
  readonly metrics: Metrics;
  readonly events: PublishErrorEvent[];
  /** What the observer was told: `normal published`. */
  readonly observed: string[];
  readonly observedResults: EndedPublish[];
  /** Emergencies that were handed on. */
  readonly emergencies: string[];
}

/** Publishing over a transport, as the bus wires it. */
export function createRig(
  transport: BusTransport,
  tuning: PublishingTuning = {},
  more: Partial<Omit<PublishingParts, 'transport'>> = {},
): PublishingRig {
  const metrics = new Metrics();
  const events: PublishErrorEvent[] = [];
  const observed: string[] = [];
  const observedResults: EndedPublish[] = [];
  const emergencies: string[] = [];
  const clock: Clock = more.clock ?? systemClock;
  const publishing = createPublishing(
    {
      transport,
      keyRing,
      source: 'test',
      streams: DEFAULT_STREAMS,
      publishDeadlineMs: 10_000,
      ttlMs: 900_000,
      dedupWindowMs: 930_000,
      maxPayloadBytes: 1024 * 1024,
      targetMs: 25,
      observer: {
        publishEnded: (role: StreamRole, result: EndedPublish) => {
          observed.push(`${role} ${result.outcome}`);
          observedResults.push(result);
        },
      },
      publishEmergency: async ({ signalId }) => {
        emergencies.push(signalId);
        return { outcome: 'published', stream: DEFAULT_STREAMS.emergency, entryId: '1-0', latencyMs: 0 };
      },
      onErrorEvent: (event) => events.push(event),
      random: seededRandom(1),
      metrics,
      logger: silentLogger,
      ...more,
      clock,
    },
    tuning,
  );
  return { ...publishing, metrics, events, observed, observedResults, emergencies };
}

/** Everything on a stream, oldest first, opened. */
export async function opened(transport: BusTransport, stream: string) {
  const request = { stream, after: '', count: 10_000, newestFirst: false };
  const entries = await transport.range(request, { deadlineMs: 10_000 });
  return entries.map((entry) => ({ entryId: entry.entryId, ...openEnvelope(signedEntry(entry), keyRing) }));
}

function signedEntry({ fields }: RawEntry) {
  const payload = fields.get('payload') ?? new Uint8Array(0);
  const signature = Buffer.from(fields.get('signature') ?? []).toString('latin1');
  return { payload, signature };
}
