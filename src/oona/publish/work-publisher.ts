import type { Permit } from '../../core/circuit-breaker.ts';
import { OptionError } from '../../core/errors.ts';
import type { MessageInput } from '../../leyline/codec.ts';
import { BusMessageType, EmergencySignal } from '../../leyline/messages.ts';
import { abortedError, closedError } from '../errors.ts';
import type { AppendResult } from '../transport/transport.ts';
import type { BusMessage, WorkPublishOptions, WorkPublishResult } from '../work-types.ts';
import { Appender } from './appender.ts';
import { Deferral } from './deferral.ts';
import type { ErrorEvents } from './error-events.ts';
import { failureOf } from './failure.ts';
import type { PublishRole } from './message-kinds.ts';
import { PUBLISH_OPTIONS, type PublishingOptions, type ResolvedPublishingOptions } from './options.ts';
import type { OutboxStats } from './outbox.ts';
import {
  checkOptions,
  type InternalPublishOptions,
  makeOutgoing,
  type Outgoing,
  type OutgoingParts,
  ownRoute,
  requireRoute,
  rerouted,
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
    const { keyRing, source, streams, clock, metrics, logger, transport, activeTrace, events } = parts;
    const { publishDeadlineMs: deadlineMs, ttlMs, maxPayloadBytes } = parts;
    const { maxStreamLength: maxLength, trimIntervalMs: intervalMs } = options;
    this.#parts = parts;
    this.#options = options;
    const sealing = { keyRing, limits: Object.freeze({ maxPayloadBytes }), source, streams, activeTrace };
    this.#sealing = Object.freeze({ ...sealing, wallMs: () => clock.wallMs() });
    const ends = new PublishMetrics(metrics, parts.observer);
    const trimming = { ttlMs, maxLength, intervalMs, deadlineMs };
    const trims = new StreamTrims({ transport, clock, metrics, logger, events, ...trimming });
    const onCutUnread = (count: number, stream: string): void => trims.cutUnread('emergency', stream, count);
    this.#appender = new Appender({ ...parts, onCutUnread }, options);
    const ping = (forMs: number): Promise<void> => transport.ping({ deadlineMs: forMs });
    const shared = { appender: this.#appender, ends, events, trims, ping, deadlineMs };
    this.#deferral = new Deferral({ ...parts, ...shared, sealing: this.#sealing }, options);
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

  probe(): Promise<void> {
    return this.#deferral.probe();
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
    const { tokens, metrics } = this.#parts;
    if (tokens === undefined) return this.#publishOn(message, route, options, startedAtMs);
    if (!tokens.take()) {
      metrics.increment(URGENT_CAPPED);
      return this.#publishOn(message, ownRoute(message), options, startedAtMs);
    }
    try {
      return this.#publishOn(message, route, options, startedAtMs).then((result) => {
        if (result.outcome !== 'published') tokens.giveBack();
        return result;
      });
    } catch (error) {
      tokens.giveBack();
      throw error;
    }
  }

  #start(
    outgoing: Outgoing,
    options: InternalPublishOptions,
    startedAtMs: number,
  ): Promise<WorkPublishResult> {
    const { breaker, mode } = this.#parts;
    const { isUrgent, stream, entry, dedupId } = outgoing;
    const { to } = outgoing.route;
    const { deadlineMs = this.#parts.publishDeadlineMs, signal, mayReroute = false } = options;
    if (!isUrgent && mode.active) {
      if (signal?.aborted === true) throw abortedError(`publish to ${stream}`, signal);
      return Promise.resolve(this.#deferral.defer(outgoing, startedAtMs));
    }
    const permit = isUrgent ? breaker.probe() : breaker.enter();
    if (permit === 0) throw breaker.refusal();
    const attempt = { outgoing, startedAtMs, deadlineMs, signal, mayReroute, permit };
    this.#inFlight += 1;
    const isGated = !isUrgent && to !== 'emergency';
    const depthLimit = isGated ? this.#appender.depthLimit(to, mayReroute, startedAtMs) : undefined;
    const sent = { to, stream, entry, dedupId, moveBelow: this.#appender.moveBelow(mayReroute) };
    return this.#appender.append(sent, depthLimit, deadlineMs, signal).then(
      (appended) => this.#appended(attempt, appended),
      (error: unknown) => this.#appendFailed(attempt, stream, error),
    );
  }

  #appended(attempt: Attempt, appended: AppendResult): WorkPublishResult | Promise<WorkPublishResult> {
    const { outgoing, startedAtMs, permit } = attempt;
    const { route, stream } = outgoing;
    const { entryId, depthBefore: measured } = appended;
    const nowMs = this.#parts.clock.monotonicMs();
    const latencyMs = nowMs - startedAtMs;
    this.#appender.answered(permit, latencyMs);
    if (measured !== undefined) this.#appender.measured(route.to, measured, nowMs);
    if (appended.outcome === 'full') return this.#full(attempt, measured);
    // A retry of one that was rerouted: on its own stream nobody would know it as a duplicate.
    if (appended.outcome === 'moved') return this.#reroute(attempt);
    this.#trims.appended(route.to, stream, nowMs);
    const outcome = appended.outcome === 'appended' ? 'published' : 'duplicate';
    const isMoved = !outgoing.isUrgent && route.to !== route.own;
    if (isMoved && outcome === 'published') {
      const intended = this.#parts.streams[route.own];
      this.#events.raise('rerouted', route.own, 1, () => ({ stream: intended }));
      return this.#finish(route.own, { outcome: 'rerouted', intended, stream, entryId, latencyMs });
    }
    const isGated = outcome === 'published' && !outgoing.isUrgent;
    const depthBefore = measured ?? (isGated ? this.#appender.estimatedDepth(route.to) : undefined);
    if (depthBefore === undefined) return this.#finish(route.own, { outcome, stream, entryId, latencyMs });
    const depthAfter = depthBefore + 1;
    return this.#finish(route.own, { outcome, stream, entryId, latencyMs, depthBefore, depthAfter });
  }

  #full(attempt: Attempt, depthBefore: number | undefined): WorkPublishResult | Promise<WorkPublishResult> {
    const { outgoing, startedAtMs, mayReroute } = attempt;
    const { route, stream } = outgoing;
    // What the engine was told too: it has noted where this one goes.
    if ((depthBefore ?? 0) < this.#appender.moveBelow(mayReroute)) return this.#reroute(attempt);
    this.#events.raise('dropped', route.own, 1, () => ({ stream, depth: String(depthBefore) }));
    const latencyMs = this.#parts.clock.monotonicMs() - startedAtMs;
    const dropped = { outcome: 'dropped', reason: 'back-pressure', stream, latencyMs } as const;
    return this.#finish(route.own, depthBefore === undefined ? dropped : { ...dropped, depthBefore });
  }

  /** Keeps its type, and takes no emergency token: it is no emergency. */
  #reroute(attempt: Attempt): WorkPublishResult | Promise<WorkPublishResult> {
    const { startedAtMs, deadlineMs, signal } = attempt;
    const { clock, breaker, streams } = this.#parts;
    const permit = breaker.enter();
    let outgoing: Outgoing;
    try {
      if (permit === 0) throw breaker.refusal();
      outgoing = rerouted(attempt.outgoing, this.#sealing);
    } catch (error) {
      return this.#appendFailed({ ...attempt, permit }, streams.emergency, error);
    }
    const { stream, entry, dedupId } = outgoing;
    const again = { ...attempt, outgoing, permit };
    const leftMs = Math.max(1, startedAtMs + deadlineMs - clock.monotonicMs());
    return this.#appender.append({ to: 'emergency', stream, entry, dedupId }, undefined, leftMs, signal).then(
      (appended) => this.#appended(again, appended),
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

  #failure(error: unknown, stream: string, startedAtMs: number): WorkPublishResult {
    const { clock, logger } = this.#parts;
    const failure = failureOf(error, stream, clock.monotonicMs() - startedAtMs);
    logger.debug({ code: failure.code, stream }, `publish failed: ${failure.reason}`);
    return failure;
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
