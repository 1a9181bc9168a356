/** Looks after the dead letters on an interval, and tells the operator what is new. */
import type { Clock } from '../../core/clock.ts';
import { errorMessage } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { Metrics } from '../../core/metrics.ts';
import { TelemetryLevel, type TelemetryPacket } from '../../leyline/messages.ts';
import type { StreamNames } from '../streams.ts';
import type { BusTransport } from '../transport/transport.ts';
import { LetterGroups } from './audit-groups.ts';
import { auditPacket } from './audit-packet.ts';
import { failureOf } from './content.ts';
import { LabelCounts, typeName } from './counts.ts';
import { timeOfEntryId } from './letter.ts';
import { type LetterStream, newestId, oldestId, walkLetters } from './letters.ts';
import { DEAD_LETTER_AUDITOR_OPTIONS, type ResolvedAuditorOptions } from './options.ts';
import type { EngineFailure } from './types.ts';

export interface DeadLetterAuditorOptions {
  readonly transport: BusTransport;
  readonly streams: StreamNames;
  /** Puts the packet on the telemetry stream, and nowhere else. Any outcome of these counts as told. */
  readonly publish: (packet: TelemetryPacket, signal: AbortSignal) => Promise<{ readonly outcome: string }>;
  /** Called after each look that did not fail. */
  readonly onLook?: (report: AuditReport) => void;
  /** Between two looks, milliseconds, 100-3600000. Default 30000. */
  readonly intervalMs?: number;
  /** Letters read in one look, 1-100000; the rest is passed over and `sampled` says so. Default 1000. */
  readonly sampleLimit?: number;
  /** The first look begins so long ago, milliseconds, 0 to a day: a restart misses nothing shorter. Default 60000. */
  readonly lookBackMs?: number;
  /** From this many new letters a minute on the packet's level is ERROR, below WARNING; 0-1000000. Default 10. */
  readonly errorRatePerMinute?: number;
  /** Longest wait between two packets while letters keep coming, milliseconds, 100 to a day. Default 600000. */
  readonly tellCapMs?: number;
  /** Bound on each call to the engine, milliseconds, 1-600000. Default 2000. */
  readonly callDeadlineMs?: number;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

export interface AuditReport {
  /** Letters that this look found new. */
  readonly fresh: number;
  /** True when there were more than `sampleLimit`: `fresh` is a lower bound. */
  readonly sampled: boolean;
  readonly ratePerMinute: number;
  /** 0 without letters. */
  readonly oldestAgeMs: number;
  /** Letters on the stream, old ones too. */
  readonly total: number;
  /** Of the letters found since the start, by the name of their message type. */
  readonly byMessageType: Readonly<Record<string, number>>;
  /** 'waits': something is new and is told later, with what comes until then. */
  readonly told: 'nothing-new' | 'told' | 'waits' | 'not-published';
  readonly failure?: EngineFailure;
}

export interface DeadLetterAuditor {
  /** Looks until the signal is aborted. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
  /** One look. Never rejects. */
  look(signal: AbortSignal): Promise<AuditReport>;
  /** Of the last look; undefined before the first. */
  last(): AuditReport | undefined;
}

const MOST_GROUPS = 16;
/** Codes told since it was last quiet; beyond it no code is news. */
const MOST_TOLD_CODES = 64;
/** Letters of one instant are no rate. */
const SHORTEST_SPAN_MS = 1000;
/** The engine's clock may be corrected by less than this without a look back. */
const CLOCK_STEP_MS = 60_000;
const METRIC = 'oona.dead_letters';
const TOLD: readonly string[] = ['published', 'duplicate', 'rerouted', 'deferred'];

/** What one look found. */
interface Sample {
  readonly fresh: number;
  readonly sampled: boolean;
  readonly ratePerMinute: number;
  readonly oldestAgeMs: number;
  readonly total: number;
}

class StreamAuditor implements DeadLetterAuditor {
  readonly #options: ResolvedAuditorOptions;
  readonly #untold = new LetterGroups(MOST_GROUPS);
  readonly #codes = new LabelCounts();
  readonly #types = new LabelCounts();
  /** Of the packets since it was last quiet. */
  readonly #toldCodes = new Set<string>();
  #toldLevel = 0;
  #tells = 0;
  #nextTellMs = 0;
  /** Everything up to it was looked at; '' before the first look. */
  #seenId = '';
  #seenAtMs = 0;
  #last: AuditReport | undefined;

  constructor(options: ResolvedAuditorOptions) {
    this.#options = options;
  }

  last(): AuditReport | undefined {
    return this.#last;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, intervalMs } = this.#options;
    while (!signal.aborted) {
      await this.look(signal);
      try {
        await clock.sleep(intervalMs, signal);
      } catch {
        return;
      }
    }
  }

  async look(signal: AbortSignal): Promise<AuditReport> {
    const { metrics, logger } = this.#options;
    let report: AuditReport;
    try {
      const sample = await this.#sample(signal);
      this.#measure(sample);
      const told = await this.#tell(sample, signal);
      report = { ...sample, byMessageType: this.#types.toRecord(), told };
      this.#pass(report);
    } catch (error) {
      const failure = failureOf(error);
      metrics.increment(`${METRIC}.audit_failed_total`);
      logger.debug({ code: failure.code }, `dead letters not audited: ${failure.reason}`);
      const nothing = { fresh: 0, sampled: false, ratePerMinute: 0, oldestAgeMs: 0, total: 0 };
      report = { ...nothing, byMessageType: {}, told: 'nothing-new', failure };
    }
    this.#last = report;
    return report;
  }

  #pass(report: AuditReport): void {
    const { onLook, logger } = this.#options;
    try {
      onLook?.(report);
    } catch (error) {
      logger.error({}, `onLook threw: ${errorMessage(error)}`);
    }
  }

  async #sample(signal: AbortSignal): Promise<Sample> {
    const { transport, streams, callDeadlineMs: deadlineMs, sampleLimit, lookBackMs } = this.#options;
    const from: LetterStream = { transport, stream: streams.deadLetter, call: { deadlineMs, signal } };
    const nowMs = await transport.timeMs(from.call);
    // Before the first look; and ids begin anew below those seen when the engine's clock was set back.
    if (this.#seenId === '' || timeOfEntryId(this.#seenId) > nowMs + CLOCK_STEP_MS) {
      this.#seenAtMs = Math.max(0, nowMs - lookBackMs);
      this.#seenId = `${this.#seenAtMs}-0`;
    }
    let fresh = 0;
    let sampled = false;
    for await (const letter of walkLetters(from, { after: this.#seenId, newestFirst: false })) {
      sampled = fresh === sampleLimit;
      if (sampled) break;
      fresh += 1;
      // At once: a look that fails half way must not count the same letters again.
      this.#seenId = letter.letterId;
      this.#untold.add(letter);
      this.#countCode(letter.reason || 'damaged');
      this.#types.add(typeName(letter.messageType));
    }
    // Of a sample only its own span says how fast they came.
    const endMs = sampled ? timeOfEntryId(this.#seenId) : nowMs;
    const ratePerMinute = (fresh * 60_000) / Math.max(SHORTEST_SPAN_MS, endMs - this.#seenAtMs);
    if (sampled) this.#seenId = (await newestId(from)) || this.#seenId;
    this.#seenAtMs = nowMs;
    const oldest = await oldestId(from);
    const oldestAgeMs = oldest === '' ? 0 : Math.max(0, nowMs - timeOfEntryId(oldest));
    const { length: total } = await transport.depth(streams.deadLetter, 1, from.call);
    return { fresh, sampled, ratePerMinute, oldestAgeMs, total };
  }

  #countCode(code: string): void {
    const { metrics } = this.#options;
    metrics.increment(`${METRIC}.found_total`);
    metrics.increment(`${METRIC}.found.${this.#codes.add(code)}_total`);
  }

  #measure({ ratePerMinute, oldestAgeMs, total, sampled }: Sample): void {
    const { metrics } = this.#options;
    metrics.setGauge(`${METRIC}.rate_per_minute`, ratePerMinute);
    metrics.setGauge(`${METRIC}.oldest_age_ms`, oldestAgeMs);
    metrics.setGauge(`${METRIC}.total`, total);
    if (sampled) metrics.increment(`${METRIC}.audit_sampled_total`);
  }

  async #tell(sample: Sample, signal: AbortSignal): Promise<AuditReport['told']> {
    if (this.#untold.total === 0) {
      this.#quiet();
      return 'nothing-new';
    }
    const { clock, streams, errorRatePerMinute } = this.#options;
    const { TELEMETRY_LEVEL_ERROR: error, TELEMETRY_LEVEL_WARNING: warning } = TelemetryLevel;
    const level = sample.ratePerMinute >= errorRatePerMinute ? error : warning;
    const groups = this.#untold.groups;
    const isNews = level > this.#toldLevel || groups.some(({ code }) => this.#isNewCode(code));
    if (!isNews && clock.monotonicMs() < this.#nextTellMs) return 'waits';
    const { ratePerMinute, oldestAgeMs } = sample;
    const about = { ratePerMinute, oldestAgeMs, level, groups, deadLetterStream: streams.deadLetter };
    const packet = auditPacket({ ...about, fresh: this.#untold.total, wallMs: clock.wallMs() });
    if (!(await this.#publish(packet, signal))) return 'not-published';
    for (const { code } of groups) if (this.#isNewCode(code)) this.#toldCodes.add(code);
    this.#told(level);
    return 'told';
  }

  #isNewCode(code: string): boolean {
    return !this.#toldCodes.has(code) && this.#toldCodes.size < MOST_TOLD_CODES;
  }

  /** What was not published is told with the next packet. */
  async #publish(packet: TelemetryPacket, signal: AbortSignal): Promise<boolean> {
    const { publish, metrics, logger } = this.#options;
    try {
      const { outcome } = await publish(packet, signal);
      if (TOLD.includes(outcome)) {
        metrics.increment(`${METRIC}.audit_told_total`);
        return true;
      }
      logger.debug({ outcome }, 'packet about dead letters not published');
    } catch (error) {
      logger.debug({}, `packet about dead letters not published: ${errorMessage(error)}`);
    }
    metrics.increment(`${METRIC}.audit_not_published_total`);
    return false;
  }

  #told(level: number): void {
    const { clock, intervalMs, tellCapMs } = this.#options;
    this.#untold.clear();
    this.#toldLevel = level;
    this.#nextTellMs = clock.monotonicMs() + Math.min(tellCapMs, intervalMs * 2 ** Math.min(this.#tells, 30));
    this.#tells += 1;
  }

  /** Nothing came: the next letter is news again, once the wait is over that the last packet began. */
  #quiet(): void {
    if (this.#options.clock.monotonicMs() < this.#nextTellMs) return;
    this.#tells = 0;
    this.#toldLevel = 0;
    this.#toldCodes.clear();
  }
}

/** Nothing is read before the first look. Throws OptionError. */
export function createDeadLetterAuditor(options: DeadLetterAuditorOptions): DeadLetterAuditor {
  // Its own options only: whoever has the parts of a whole bus may pass them all.
  const own = Object.keys(DEAD_LETTER_AUDITOR_OPTIONS.rows) as (keyof DeadLetterAuditorOptions)[];
  const given = Object.fromEntries(own.map((name) => [name, options[name]]));
  return new StreamAuditor(DEAD_LETTER_AUDITOR_OPTIONS.resolve(given));
}
