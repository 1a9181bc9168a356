import { BreakerOpenError, type Permit } from '../../core/circuit-breaker.ts';
import { errorCode, errorMessage, FastpathError, OptionError } from '../../core/errors.ts';
import type { MessageInput } from '../../leyline/codec.ts';
import { BusMessageType, EmergencySignal } from '../../leyline/messages.ts';
import { abortedError, closedError, isTransportError } from '../errors.ts';
import type { AppendResult } from '../transport/transport.ts';
import type { BusMessage, WorkPublishOptions, WorkPublishResult } from '../work-types.ts';
import { Appender } from './appender.ts';
import { Deferral } from './deferral.ts';
import { ErrorEvents } from './error-events.ts';
import type { PublishRole } from './message-kinds.ts';
import { PUBLISH_OPTIONS, type PublishingOptions, type ResolvedPublishingOptions } from './options.ts';
import type { OutboxStats } from './outbox.ts';
import {
  checkOptions,
  forStream,
  type InternalPublishOptions,
  makeOutgoing,
  type Outgoing,
  type OutgoingParts,
  ownRoute,
  requireRoute,
} from './outgoing.ts';
import type { Route } from './priority.ts';
import { PublishMetrics } from './publish-metrics.ts';
import { StreamTrims } from './stream-trims.ts';
import type { WorkPublisher, WorkPublisherParts } from './types.ts';

/** A publish under way. */
interface Attempt {
  readonly outgoing: Outgoing;
  readonly startedAtMs: number;
  readonly deadlineMs: number;
  readonly signal: AbortSignal | undefined;
  readonly mayReroute: boolean;
  readonly permit: Permit;
}

const NO_OPTIONS: InternalPublishOptions = Object.freeze({});
const URGENT_CAPPED = 'oona.publish.urgent_capped_total';
const EMERGENCY = BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL;

class BusWorkPublisher implements WorkPublisher {
  readonly #parts: WorkPublisherParts;
  readonly #options: ResolvedPublishingOptions;
  readonly #sealing: OutgoingParts;
  readonly #appender: Appender;
  readonly #ends: PublishMetrics;
  readonly #events: ErrorEvents;
  readonly #trims: StreamTrims;
  readonly #deferral: Deferral;
  #inFlight = 0;
  #onIdle: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(parts: WorkPublisherParts, options: ResolvedPublishingOptions) {
    const { keyRing, source, streams, clock, metrics, logger, transport, activeTrace } = parts;
    const { publishDeadlineMs: deadlineMs, ttlMs, maxPayloadBytes } = parts;
    const { maxStreamLength: maxLength, trimIntervalMs: intervalMs } = options;
    this.#parts = parts;
    this.#options = options;
    const limits = Object.freeze({ maxPayloadBytes });
    const wallMs = (): number => clock.wallMs();
    this.#sealing = Object.freeze({ keyRing, limits, source, streams, wallMs, activeTrace });
    this.#appender = new Appender(parts, options);
    const ends = new PublishMetrics(metrics, parts.observer);
    const events = new ErrorEvents(parts.onErrorEvent, clock, logger);
    const trimming = { ttlMs, maxLength, intervalMs, deadlineMs };
    const trims = new StreamTrims({ transport, clock, metrics, logger, events, ...trimming });
    const ping = (forMs: number): Promise<void> => transport.ping({ deadlineMs: forMs });
    const shared = { appender: this.#appender, ends, events, trims, ping, deadlineMs };
    this.#deferral = new Deferral({ ...parts, ...shared }, options);
    this.#ends = ends;
    this.#events = events;
    this.#trims = trims;
  }

  publish(message: BusMessage, options: WorkPublishOptions = NO_OPTIONS): Promise<WorkPublishResult> {
    return this.publishInternal(message, options);
  }

  publishInternal(
    message: BusMessage,
    options: InternalPublishOptions = NO_OPTIONS,
  ): Promise<WorkPublishResult> {
    const startedAtMs = this.#parts.clock.monotonicMs();
    let role: PublishRole = 'normal';
    try {
      if (options !== NO_OPTIONS) checkOptions(options);
      const route = requireRoute(message, options);
      role = route.own;
      if (this.#closing !== undefined) throw closedError(`publish to ${this.#parts.streams[route.to]}`);
      if (message.type === EMERGENCY) return this.#emergency(message.message, options, startedAtMs);
      const publish = route.to === 'emergency' ? this.#publishUrgent : this.#publishOn;
      return publish.call(this, message, route, options, startedAtMs);
    } catch (error) {
      return Promise.resolve(this.#refused(error, role, startedAtMs));
    }
  }

  outboxStats(): OutboxStats {
    return this.#deferral.stats();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#inFlight > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    await this.#deferral.close(this.#options.closeFlushMs);
    await this.#trims.settled();
  }

  #emergency(
    message: MessageInput<typeof EMERGENCY>,
    options: InternalPublishOptions,
    startedAtMs: number,
  ): Promise<WorkPublishResult> {
    if (options.eventId !== undefined && options.eventId !== message.signalId) {
      throw new OptionError('publish: the event id of an emergency is its signalId');
    }
    const signal = message instanceof EmergencySignal ? message : EmergencySignal.create(message);
    return this.#parts
      .publishEmergency(signal, options)
      .catch((error: unknown) => this.#refused(error, 'emergency', startedAtMs));
  }

  #publishOn(
    message: BusMessage,
    route: Route,
    options: InternalPublishOptions,
    startedAtMs: number,
  ): Promise<WorkPublishResult> {
    return this.#start(makeOutgoing(message, route, options, this.#sealing), options, startedAtMs);
  }

  /** HIGH and CRITICAL, but no emergency. */
  #publishUrgent(
    message: BusMessage,
    route: Route,
    options: InternalPublishOptions,
    startedAtMs: number,
  ): Promise<WorkPublishResult> {
    const { tokens, source, metrics } = this.#parts;
    if (tokens === undefined) return this.#publishOn(message, route, options, startedAtMs);
    const pass = tokens.takeForUrgent(source);
    if (pass === undefined) {
      metrics.increment(URGENT_CAPPED);
      return this.#publishOn(message, ownRoute(message), options, startedAtMs);
    }
    let ended: Promise<WorkPublishResult>;
    try {
      ended = this.#publishOn(message, route, options, startedAtMs);
    } catch (error) {
      tokens.giveBack(pass);
      throw error;
    }
    return ended.then((result) => {
      if (result.outcome !== 'published') tokens.giveBack(pass);
      return result;
    });
  }

  #start(
    outgoing: Outgoing,
    options: InternalPublishOptions,
    startedAtMs: number,
  ): Promise<WorkPublishResult> {
    const { breaker, mode } = this.#parts;
    const { isUrgent, route, stream, entry, dedupId } = outgoing;
    const { deadlineMs = this.#parts.publishDeadlineMs, signal, mayReroute = false } = options;
    if (!isUrgent && mode.active) {
      if (signal?.aborted === true) throw abortedError(`publish to ${stream}`, signal);
      return Promise.resolve(this.#deferral.defer(outgoing, startedAtMs));
    }
    const permit = isUrgent ? breaker.probe() : breaker.enter();
    if (permit === 0) throw breaker.refusal();
    const attempt = { outgoing, startedAtMs, deadlineMs, signal, mayReroute, permit };
    this.#inFlight += 1;
    const depthLimit = isUrgent ? undefined : this.#appender.depthLimit(route.to, mayReroute, startedAtMs);
    const { to } = route;
    return this.#appender.append({ to, stream, entry, dedupId }, depthLimit, deadlineMs, signal).then(
      (appended) => this.#appended(attempt, appended),
      (error: unknown) => this.#appendFailed(attempt, stream, error),
    );
  }

  #appended(attempt: Attempt, appended: AppendResult): WorkPublishResult | Promise<WorkPublishResult> {
    const { outgoing, startedAtMs, permit } = attempt;
    const { route, stream } = outgoing;
    const { entryId, depthBefore } = appended;
    const nowMs = this.#parts.clock.monotonicMs();
    this.#parts.breaker.succeed(permit);
    if (depthBefore !== undefined) this.#appender.measured(route.to, depthBefore, nowMs);
    if (appended.outcome === 'full') return this.#full(attempt, depthBefore);
    this.#trims.appended(route.to, stream, nowMs);
    const outcome = appended.outcome === 'appended' ? 'published' : 'duplicate';
    const latencyMs = nowMs - startedAtMs;
    if (depthBefore === undefined) return this.#finish(route.own, { outcome, stream, entryId, latencyMs });
    const depthAfter = depthBefore + 1;
    return this.#finish(route.own, { outcome, stream, entryId, latencyMs, depthBefore, depthAfter });
  }

  #full(attempt: Attempt, depthBefore: number | undefined): WorkPublishResult | Promise<WorkPublishResult> {
    const { outgoing, startedAtMs, mayReroute } = attempt;
    const { route, stream } = outgoing;
    const { dropDepth, rerouteDepth } = this.#options;
    const isOverDrop = dropDepth > 0 && (depthBefore ?? 0) >= dropDepth;
    if (mayReroute && rerouteDepth > 0 && !isOverDrop) return this.#reroute(attempt);
    this.#events.raise('dropped', route.own, 1, () => ({ stream, depth: String(depthBefore) }));
    const latencyMs = this.#parts.clock.monotonicMs() - startedAtMs;
    const dropped = { outcome: 'dropped', reason: 'back-pressure', stream, latencyMs } as const;
    return this.#finish(route.own, depthBefore === undefined ? dropped : { ...dropped, depthBefore });
  }

  /** Keeps its type, and takes no emergency token: it is no emergency. */
  #reroute(attempt: Attempt): WorkPublishResult | Promise<WorkPublishResult> {
    const { outgoing, startedAtMs, deadlineMs, signal } = attempt;
    const { clock, breaker, streams } = this.#parts;
    const { dedupId, route } = outgoing;
    const stream = streams.emergency;
    const permit = breaker.enter();
    const again = { ...attempt, permit };
    let entry: Outgoing['entry'];
    try {
      if (permit === 0) throw breaker.refusal();
      entry = forStream(outgoing.entry, stream, this.#sealing);
    } catch (error) {
      return this.#appendFailed(again, stream, error);
    }
    const leftMs = Math.max(1, startedAtMs + deadlineMs - clock.monotonicMs());
    const moved = { to: 'emergency', stream, entry, dedupId } as const;
    return this.#appender.append(moved, undefined, leftMs, signal).then(
      ({ entryId, outcome }) => {
        breaker.succeed(permit);
        const intended = outgoing.stream;
        const stored = { stream, entryId, latencyMs: clock.monotonicMs() - startedAtMs };
        if (outcome === 'duplicate') return this.#finish(route.own, { outcome, ...stored });
        this.#events.raise('rerouted', route.own, 1, () => ({ stream: intended }));
        return this.#finish(route.own, { outcome: 'rerouted', intended, ...stored });
      },
      (error: unknown) => this.#appendFailed(again, stream, error),
    );
  }

  #appendFailed(attempt: Attempt, stream: string, error: unknown): WorkPublishResult {
    const { outgoing, permit, startedAtMs, deadlineMs } = attempt;
    this.#appender.judge(permit, error, deadlineMs);
    return this.#finish(outgoing.route.own, this.#failure(error, stream, startedAtMs));
  }

  /** Before anything was sent. */
  #refused(error: unknown, role: PublishRole, startedAtMs: number): WorkPublishResult {
    const stream = this.#parts.streams[role];
    const result = this.#failure(error, stream, startedAtMs);
    this.#ends.ended(role, result);
    return result;
  }

  /** 'failed' is what the bus's state did, 'rejected' what the message or the caller did. */
  #failure(error: unknown, stream: string, startedAtMs: number): WorkPublishResult {
    const code = errorCode(error) ?? 'ESPER_OONA_UNEXPECTED';
    const reason = errorMessage(error);
    const latencyMs = this.#parts.clock.monotonicMs() - startedAtMs;
    this.#parts.logger.debug({ code, stream }, `publish failed: ${reason}`);
    const isBus = isTransportError(error) || code === 'ESPER_BREAKER_OPEN';
    if (!isBus) return { outcome: 'rejected', code, reason, stream, latencyMs };
    const retryable = error instanceof FastpathError && error.retryable;
    const failed = { outcome: 'failed', code, reason, retryable, stream, latencyMs } as const;
    const retryAfterMs = error instanceof BreakerOpenError ? error.retryAfterMs : undefined;
    return retryAfterMs === undefined ? failed : { ...failed, retryAfterMs };
  }

  #finish(role: PublishRole, result: WorkPublishResult): WorkPublishResult {
    this.#inFlight -= 1;
    if (this.#inFlight === 0) this.#onIdle?.();
    this.#ends.ended(role, result);
    return result;
  }
}

/** Publishing of every kind of message; emergencies are handed on. Throws OptionError. */
export function createWorkPublisher(
  parts: WorkPublisherParts,
  options: PublishingOptions = {},
): WorkPublisher {
  return new BusWorkPublisher(parts, PUBLISH_OPTIONS.resolve(options));
}
