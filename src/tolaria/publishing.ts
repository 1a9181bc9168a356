import { errorMessage } from '../core/errors.ts';
import type { EmergencyLevel } from '../leyline/messages.ts';
import type { EmergencyPublisher, PublishResult } from '../oona/types.ts';
import { createBypassCap } from './bypass-cap.ts';
import type { ResolvedControllerOptions } from './controller-options.ts';
import type { ControllerEvent, Route } from './controller-types.ts';
import { FAST_PATH_LEVEL } from './levels.ts';
import { type EmergencyFacts, toEmergencySignal, toTelemetryPacket } from './messages.ts';
import { Outbox, type OutboxItem, type OutboxRoute } from './outbox.ts';

export interface SendRequest {
  readonly facts: EmergencyFacts;
  /** Raise: its level. Clear: the level that was cleared. Decides the way out. */
  readonly level: EmergencyLevel;
  readonly exempt: boolean;
  /** Of the flag's record, which is marked once published; undefined when there is none. */
  readonly ticket: bigint | undefined;
}

export interface Publishing {
  /** Starts the publish and returns at once; the bus has what it needs by then. Never throws. */
  send(request: SendRequest): { readonly route: Route; readonly capped: boolean };
  flush(deadlineMs: number): Promise<void>;
  close(deadlineMs: number): Promise<void>;
}

interface Item extends OutboxItem {
  readonly facts: EmergencyFacts;
  readonly ticket: bigint | undefined;
}

const PREFIX = 'tolaria.emergency';
const OUTBOX_DEPTH = `${PREFIX}.outbox_depth`;
const LATENCY = `${PREFIX}.publish_latency_ms`;
const PUBLISHED = {
  emergency: `${PREFIX}.published_total`,
  telemetry: `${PREFIX}.telemetry_published_total`,
};
/** Told along with telemetry, so that the path's health is seen where its emergencies are. */
const REPORTED = [
  'escalations_total',
  'published_total',
  'publish_failed_total',
  'bypass_capped_total',
] as const;

/** The controller's way to the bus. Without a bus, everything stays in the flag's ring for the supervisor. */
export function createPublishing(
  options: ResolvedControllerOptions,
  emit: (event: ControllerEvent) => void,
): Publishing {
  if (options.bus === undefined) {
    return {
      send: () => ({ route: 'flag', capped: false }),
      flush: async () => undefined,
      close: async () => undefined,
    };
  }
  return new BusPublishing(options, options.bus, emit);
}

class BusPublishing implements Publishing {
  readonly #options: ResolvedControllerOptions;
  readonly #bus: EmergencyPublisher;
  readonly #emit: (event: ControllerEvent) => void;
  readonly #outbox: Outbox<Item>;
  readonly #deadline: { readonly deadlineMs: number };
  /** Signal id that the cap turned away within the running send(). */
  #cappedId: string | undefined;

  constructor(
    options: ResolvedControllerOptions,
    bus: EmergencyPublisher,
    emit: (event: ControllerEvent) => void,
  ) {
    this.#options = options;
    this.#bus = bus;
    this.#emit = emit;
    this.#deadline = Object.freeze({ deadlineMs: options.publishDeadlineMs });
    const { maxInFlight, retryBaseMs, retryCapMs, clock, random } = options;
    const cap = createBypassCap(options.bypassMaxPerMin, clock);
    const watchdogMs = 2 * options.publishDeadlineMs;
    this.#outbox = new Outbox(
      { maxInFlight, watchdogMs, retryBaseMs, retryCapMs, cap, clock, random },
      {
        publish: (item, route) => this.#publish(item, route),
        isPublished: (item) => this.#isPublished(item),
        onPublished: (item, route, result) => this.#published(item, route, result),
        onFailed: (item, route, failure) => {
          this.#count(`${PREFIX}.publish_failed_total`);
          const { signalId } = item;
          this.#options.logger.warn({ signalId, route, ...failure }, 'emergency not published');
          this.#emit({ type: 'failed', signalId, monotonicNs: clock.monotonicNs(), route, ...failure });
        },
        onCapped: (item) => {
          this.#count(`${PREFIX}.bypass_capped_total`);
          this.#cappedId = item.signalId;
          const { signalId, level } = item;
          this.#emit({ type: 'capped', signalId, monotonicNs: clock.monotonicNs(), level });
        },
        onDropped: () => this.#count(`${PREFIX}.publish_deferred_total`),
      },
    );
  }

  send({ facts, level, exempt, ticket }: SendRequest): { route: Route; capped: boolean } {
    const fast = level >= FAST_PATH_LEVEL;
    const wantedRoute: OutboxRoute = fast && this.#options.fastPathEnabled ? 'emergency' : 'telemetry';
    if (fast && wantedRoute === 'telemetry') this.#count(`${PREFIX}.fast_path_off_total`);
    const { signalId } = facts;
    const isClear = facts.clearedSignalId !== undefined;
    this.#cappedId = undefined;
    const taken = this.#outbox.submit({ signalId, level, wantedRoute, exempt, isClear, facts, ticket });
    this.#options.metrics.setGauge(OUTBOX_DEPTH, this.#outbox.size);
    if (!taken) return { route: 'flag', capped: false };
    const capped = this.#cappedId === signalId;
    return { route: capped ? 'telemetry' : wantedRoute, capped };
  }

  async flush(deadlineMs: number): Promise<void> {
    await this.#outbox.flush(deadlineMs);
  }

  async close(deadlineMs: number): Promise<void> {
    await this.#outbox.close(deadlineMs);
  }

  #count(name: string): void {
    this.#options.metrics.increment(name);
  }

  #publish({ facts }: Item, route: OutboxRoute): Promise<PublishResult> {
    if (route === 'emergency')
      return this.#bus.publishEmergency(toEmergencySignal(facts, this.#options), this.#deadline);
    const { metrics } = this.#options;
    const counters = REPORTED.map(
      (name) => [`${PREFIX}.${name}`, metrics.value(`${PREFIX}.${name}`)] as const,
    );
    const packet = toTelemetryPacket(facts, this.#options, Object.fromEntries(counters));
    return this.#bus.publishTelemetry(packet, this.#deadline);
  }

  /** A flag that was closed meanwhile cannot tell; then publishing once more is right: the bus drops duplicates. */
  #isPublished({ signalId }: Item): boolean {
    let published = false;
    try {
      published = this.#options.signal.find(signalId)?.published ?? false;
    } catch (error) {
      this.#flagFailed(error);
    }
    if (published) this.#count(`${PREFIX}.published_elsewhere_total`);
    return published;
  }

  #published(item: Item, route: OutboxRoute, result: Exclude<PublishResult, { outcome: 'failed' }>): void {
    const { clock, metrics, histogram } = this.#options;
    const { signalId, facts, ticket } = item;
    const monotonicNs = clock.monotonicNs();
    const latencyNs = Number(monotonicNs - facts.monotonicNs);
    const latencyMs = latencyNs / 1e6;
    const duplicate = result.outcome === 'duplicate';
    const { stream, entryId } = result;
    // First of all: who waits for it need not wait for the books.
    this.#emit({ type: 'published', signalId, monotonicNs, route, stream, entryId, duplicate, latencyMs });
    if (ticket !== undefined) this.#guarded(() => this.#options.signal.markPublished({ ticket, signalId }));
    this.#count(PUBLISHED[route]);
    if (duplicate) this.#count(`${PREFIX}.publish_duplicates_total`);
    if (route === 'emergency') {
      metrics.setGauge(LATENCY, latencyMs);
      this.#guarded(() => histogram?.record(latencyNs));
    }
    metrics.setGauge(OUTBOX_DEPTH, this.#outbox.size);
  }

  /** The flag or the histogram may have been closed while the publish was under way. */
  #guarded(run: () => unknown): void {
    try {
      run();
    } catch (error) {
      this.#flagFailed(error);
    }
  }

  #flagFailed(error: unknown): void {
    this.#count(`${PREFIX}.flag_failed_total`);
    this.#options.logger.warn({ error: errorMessage(error) }, 'emergency flag not usable after a publish');
  }
}
