import { randomUUID } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { errorMessage, OptionError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Metrics } from '../core/metrics.ts';
import { requireRange } from '../core/options.ts';
import { EmergencyLevel } from '../leyline/messages.ts';
import { cutUtf8, TEXT_BOUNDS, wellFormed } from '../native/strings.ts';
import type { ClearResult, EmergencyRecord, EmergencySignal } from '../signals/types.ts';
import { type ResolvedControllerOptions, resolveControllerOptions } from './controller-options.ts';
import type {
  ControllerClearFields,
  ControllerEvent,
  ControllerListener,
  EmergencyController,
  EmergencyControllerOptions,
  EscalateFields,
  Escalation,
} from './controller-types.ts';
import { endedBesides, raisesBehind, type Triggered, tryTrigger } from './flag-access.ts';
import { levelName, requireLevel } from './levels.ts';
import { Listeners } from './listeners.ts';
import type { EmergencyFacts } from './messages.ts';
import { createPublishing, type Publishing } from './publishing.ts';
import { withdrawnOf } from './withdrawal.ts';

const OWNER = 'EmergencyController';
const PREFIX = 'tolaria.emergency';

/**
 * Raises emergencies for one training: the host's flag first, in microseconds, the bus second, in the background.
 * Throws `OptionError` on bad options.
 */
export function createEmergencyController(options: EmergencyControllerOptions): EmergencyController {
  return new Controller(resolveControllerOptions(options));
}

class Controller implements EmergencyController {
  readonly signal: EmergencySignal;
  readonly runId: string;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly #options: ResolvedControllerOptions;
  readonly #listeners: Listeners<ControllerEvent>;
  readonly #publishing: Publishing;

  constructor(options: ResolvedControllerOptions) {
    this.#options = options;
    this.signal = options.signal;
    this.runId = options.runId;
    this.metrics = options.metrics;
    this.logger = options.logger;
    this.clock = options.clock;
    this.#listeners = new Listeners(OWNER, `${PREFIX}.listener_errors_total`, this.metrics, this.logger);
    this.#publishing = createPublishing(options, (event) => this.#listeners.emit(event));
    this.#reportKind();
  }

  get level(): EmergencyLevel {
    return this.signal.level();
  }

  escalate(level: EmergencyLevel, fields: EscalateFields): Escalation {
    requireLevel(`${OWNER}.escalate`, level);
    const { reason, step } = requireFields(fields);
    const previousLevel = this.signal.level();
    const { origin } = this.#options;
    const triggered = tryTrigger(this.signal, level, { reason, step, origin, runId: this.runId });
    const raised = level > previousLevel;
    const facts = this.#factsOf(triggered, level, reason, step);
    this.#count(level, raised, triggered);
    const exempt = raised || level === EmergencyLevel.EMERGENCY_LEVEL_HALT;
    const ticket = triggered.ok ? triggered.record?.ticket : undefined;
    const { route, capped } = this.#publishing.send({ facts, level, exempt, ticket });
    const { signalId, monotonicNs } = facts;
    const kind = raised ? 'raised' : 'repeated';
    const text = `emergency ${levelName(level)} ${kind}: ${facts.reason}`;
    this.logger.warn({ signalId, level, previousLevel, step, route }, text);
    const repeat = !raised;
    this.#listeners.emit({
      type: 'raised',
      signalId,
      monotonicNs,
      level,
      previousLevel,
      repeat,
      reason,
      step,
    });
    const error = triggered.ok ? undefined : triggered.error;
    const currentLevel = this.signal.level();
    return { signalId, level, previousLevel, currentLevel, raised, route, capped, monotonicNs, error };
  }

  clear(fields: ControllerClearFields): ClearResult {
    const { reason, force = false, raisedBy } = fields;
    if (typeof reason !== 'string') throw new OptionError(`${OWNER}.clear: reason must be a string`);
    if (typeof force !== 'boolean') throw new OptionError(`${OWNER}.clear: force must be true or false`);
    const seen = this.signal.read();
    if (seen.level === EmergencyLevel.EMERGENCY_LEVEL_UNSPECIFIED) return { outcome: 'not-set' };
    if (raisedBy !== undefined) {
      const { raises, complete } = raisesBehind(this.signal.history(), seen);
      const withdrawn = withdrawnOf(raises);
      if (!complete || raises.some(({ signalId: id }) => !raisedBy.has(id) && !withdrawn.has(id)))
        return { outcome: 'superseded' };
    }
    const { origin } = this.#options;
    const result = this.signal.clear(seen, { force, reason, origin, runId: this.runId });
    if (result.outcome === 'cleared') this.#cleared(result.signalId, seen.level, fields);
    return result;
  }

  subscribe(listener: ControllerListener): () => void {
    if (typeof listener !== 'function')
      throw new OptionError(`${OWNER}.subscribe: listener must be a function`);
    return this.#listeners.add(listener);
  }

  async flush(options: { readonly deadlineMs: number }): Promise<void> {
    requireRange(`${OWNER}.flush`, 'deadlineMs', options.deadlineMs, 0, 600_000);
    await this.#publishing.flush(options.deadlineMs);
  }

  async close(): Promise<void> {
    await this.#publishing.close(this.#options.publishDeadlineMs);
    this.#listeners.clear();
  }

  #reportKind(): void {
    const degraded = this.signal.degraded;
    this.metrics.setGauge(`${PREFIX}.shared_signal_degraded`, degraded === undefined ? 0 : 1);
    if (degraded !== undefined) {
      this.logger.warn(
        { ...degraded, name: this.signal.name },
        'emergencies reach this process and the bus only',
      );
    }
  }

  /** The flag's record is what goes out, so that bus and shared memory tell the same. */
  #factsOf(triggered: Triggered, level: EmergencyLevel, reason: string, step: number): EmergencyFacts {
    const record = triggered.ok ? triggered.record : undefined;
    if (record !== undefined) return factsOfRecord(record, undefined);
    return {
      // An emergency whose flag failed still has to be told apart from others on the bus.
      signalId: triggered.ok ? triggered.signalId : randomUUID(),
      level,
      reason: cutUtf8(wellFormed(reason), TEXT_BOUNDS.reason),
      origin: this.#options.origin,
      runId: this.runId,
      step,
      monotonicNs: this.clock.monotonicNs(),
      wallMs: this.clock.wallMs(),
      clearedSignalId: undefined,
    };
  }

  #count(level: EmergencyLevel, raised: boolean, triggered: Triggered): void {
    this.metrics.increment(`${PREFIX}.escalations_total`);
    this.metrics.increment(`${PREFIX}.escalations_${levelName(level)}_total`);
    if (!raised) this.metrics.increment(`${PREFIX}.repeats_total`);
    if (triggered.ok) return;
    this.metrics.increment(`${PREFIX}.flag_failed_total`);
    this.logger.error({ error: errorMessage(triggered.error) }, 'the emergency flag could not be set');
  }

  #cleared(signalId: string, level: EmergencyLevel, { reason, force = false }: ControllerClearFields): void {
    const record = this.signal.find(signalId);
    const clearedSignalId = record?.clearedSignalId ?? '';
    this.metrics.increment(`${PREFIX}.clears_total`);
    this.logger.info(
      { signalId, clearedSignalId, level, force },
      `emergency ${levelName(level)} cleared: ${reason}`,
    );
    const monotonicNs = record?.monotonicNs ?? this.clock.monotonicNs();
    if (record !== undefined && clearedSignalId !== '') {
      const alsoClearedIds =
        record.cleared === undefined
          ? []
          : endedBesides(this.signal.history(), record.cleared, clearedSignalId);
      const facts = { ...factsOfRecord(record, clearedSignalId), alsoClearedIds };
      this.#publishing.send({ facts, level, exempt: true, ticket: record.ticket });
    } else {
      // More emergencies than the ring holds came after it: other hosts cannot be told which of theirs is over.
      this.metrics.increment(`${PREFIX}.clear_unnamed_total`);
      this.logger.warn({ signalId }, 'the ring lost what was cleared: clear it on the other hosts by hand');
    }
    this.#listeners.emit({
      type: 'cleared',
      signalId,
      monotonicNs,
      clearedSignalId,
      clearedLevel: level,
      forced: force,
    });
  }
}

function requireFields(fields: EscalateFields): EscalateFields {
  const owner = `${OWNER}.escalate`;
  if (typeof fields !== 'object' || fields === null)
    throw new OptionError(`${owner}: fields must be an object`);
  if (typeof fields.reason !== 'string') throw new OptionError(`${owner}: reason must be a string`);
  if (!Number.isSafeInteger(fields.step) || fields.step < 0) {
    throw new OptionError(`${owner}: step must be a safe integer from 0, got ${String(fields.step)}`);
  }
  return fields;
}

function factsOfRecord(record: EmergencyRecord, clearedSignalId: string | undefined): EmergencyFacts {
  const { signalId, level, reason, origin, runId, step, monotonicNs, wallNs } = record;
  return {
    signalId,
    level,
    reason,
    origin,
    runId,
    step,
    monotonicNs,
    wallMs: Number(wallNs / 1000n) / 1000,
    clearedSignalId,
  };
}
