/**
 * A relay for large payloads, and what it takes for one to survive more than its memory holds: HTTP intake → internal
 * bus → gzip or protobuf → external bus → file and Oona. `npx tsx examples/relay.ts --help`
 */
import pino from 'pino';
import { errorMessage } from '../src/core/errors.ts';
import { Metrics } from '../src/core/metrics.ts';
import { prometheusText } from '../src/core/prometheus.ts';
import { setErrorBusGauges } from '../src/faults/index.ts';
import { type Engine, engine } from '../src/pipeline/index.ts';
import { Books } from './relay/books.ts';
import { fileEmitter, oonaEmitter } from './relay/emitters.ts';
import { errorHandlers, guardUploads } from './relay/guard.ts';
import { Intake } from './relay/intake.ts';
import { type RelayOptions, readOptions } from './relay/options.ts';
import type { Parcel, Payload } from './relay/payload.ts';
import { packedAtMost, TRANSFORMS } from './relay/transforms.ts';
import { Uploads } from './relay/uploads.ts';

const EXIT_FAILED = 1;
const SIGNALS = { SIGINT: 2, SIGTERM: 15 } as const;
/** Bodies that gave way are garbage of 38 MB each: worth a collection far sooner than by default. */
const GC_BACKOFF_MS = 250;
/** A payload of 38 MB on a slow disk. */
const EMIT_TIMEOUT_MS = 60_000;

// Written at once: the last line before a kill is the one that is looked for.
const logger = pino(pino.destination({ dest: 1, sync: true }));

function build(options: RelayOptions): Engine<Payload, Parcel> {
  const { host, port, directory, redis, guarded, maxPayloadBytes, buffer } = options;
  const metrics = new Metrics();
  const uploads = new Uploads();
  const books = new Books(metrics);
  const room = (bytes: number) => ({ bufferSize: buffer, maxBytes: buffer * bytes });
  const intake = new Intake({
    ...{ host, port, maxPayloadBytes, uploads, books, logger },
    metrics: () => {
      setErrorBusGauges(metrics, relay.errors.snapshot());
      return prometheusText(metrics);
    },
    state: () => ({
      payloads: books.account(),
      uploads: uploads.open,
      stats: relay.stats(),
      ...relay.health(),
    }),
    onListening: (address) => logger.info({ ...address, guarded }, 'relay listens'),
  });
  const emitters = [fileEmitter(directory), oonaEmitter(redis, process.env.ESPER_LEYLINE_SECRET, metrics)];
  const relay: Engine<Payload, Parcel> = engine<Payload, Parcel>({
    name: 'relay',
    adapters: [{ adapter: intake, required: true, stopTimeoutMs: options.stopMs }],
    internal: { ...room(maxPayloadBytes), sizeOf: ({ sizeBytes }) => sizeBytes },
    transforms: [TRANSFORMS[options.transform]],
    external: { ...room(packedAtMost(maxPayloadBytes)), sizeOf: ({ bytes }) => bytes.length },
    emitters: emitters.map((emitter) => ({ emitter, required: true, emitTimeoutMs: EMIT_TIMEOUT_MS })),
    ...(guarded
      ? {
          memoryMonitor: { dwellMs: options.dwellMs, forceGc: true, gcBackoffMs: GC_BACKOFF_MS },
          // At 98 % the engine stops of itself; earlier, who hears of what it cannot recover from.
          errorHandlers: errorHandlers(
            { logger, metrics },
            options.stopAt === 'critical' ? (reason) => void relay.stop(reason) : undefined,
          ),
        }
      : {
          memoryMonitor: false as const,
          gracefulDegradation: false,
          errorHandlers: errorHandlers({ logger, metrics }),
        }),
    ...{ stopDeadlineMs: options.stopMs, metrics, logger },
  });
  if (relay.memory !== undefined) guardUploads(relay.memory, uploads);
  void relay.stopped.then(() => logger.info({ ...books.account() }, 'payloads'));
  return relay;
}

function stopOnSignals(relay: Engine<Payload, Parcel>): void {
  let isTold = false;
  for (const [name, number] of Object.entries(SIGNALS) as [NodeJS.Signals, number][]) {
    process.on(name, () => {
      // Not by the state: the first one may come when it stops already, of itself.
      if (isTold) process.exit(128 + number);
      isTold = true;
      void relay.stop(name);
    });
  }
}

async function main(): Promise<number> {
  const relay = build(readOptions(process.argv));
  stopOnSignals(relay);
  await relay.start();
  const { clean } = await relay.stopped;
  return clean ? 0 : EXIT_FAILED;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`relay: ${errorMessage(error)}`);
  process.exitCode = EXIT_FAILED;
}
