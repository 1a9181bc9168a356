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
  Route,
} from './controller-types.ts';
import type { TolariaError } from './errors.ts';
import { endedBesides, levelBefore, raisesBehind, tryRaise } from './flag-access.ts';
import { levelName, requireLevel } from './levels.ts';
import { Listeners } from './listeners.ts';
import { factsOfRecord, wallMsOf } from './messages.ts';
import { createPublishing, type Publishing } from './publishing.ts';
import { withdrawnOf } from './withdrawal.ts';

const OWNER = 'EmergencyController';
const PREFIX = 'tolaria.emergency';
const ESCALATIONS = `${PREFIX}.escalations_total`;
const REPEATS = `${PREFIX}.repeats_total`;
const LEVEL_ESCALATIONS: readonly string[] = Array.from(
  { length: EmergencyLevel.EMERGENCY_LEVEL_HALT + 1 },
  (_, level) => `${PREFIX}.escalations_${levelName(level)}_total`,
);

interface Asked extends EscalateFields {
  readonly level: EmergencyLevel;
  readonly exempt: boolean;
}

type RaiseFacts = Omit<Extract<ControllerEvent, { readonly type: 'raised' }>, 'type'>;

/** A raise whose publish has been started. */
interface SentRaise {
  readonly signalId: string;
  readonly monotonicNs: bigint;
  /** As the record holds it. */
  readonly reason: string;
  readonly route: Route;
  readonly capped: boolean;
  readonly error: TolariaError | undefined;
}

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
  /** As the flag's records hold them. */
  readonly #stored: { readonly origin: string; readonly runId: string };

  constructor(options: ResolvedControllerOptions) {
    this.#options = options;
    this.signal = options.signal;
    this.runId = options.runId;
    this.metrics = options.metrics;
    this.logger = options.logger;
    this.clock = options.clock;
    this.#stored = {
      origin: cutUtf8(wellFormed(options.origin), TEXT_BOUNDS.origin),
      runId: cutUtf8(wellFormed(options.runId), TEXT_BOUNDS.runId),
    };
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
    const raised = level > previousLevel;
    const exempt = raised || level === EmergencyLevel.EMERGENCY_LEVEL_HALT;
    const sent = this.#raiseAndSend({ level, reason, step, exempt });
    // The publish is on its way: whatever follows costs it nothing.
    const { signalId, monotonicNs, route, capped, error } = sent;
    this.#tell({ signalId, monotonicNs, level, previousLevel, repeat: !raised, reason, step }, sent);
    const currentLevel = this.signal.level();
    return { signalId, level, previousLevel, currentLevel, raised, route, capped, monotonicNs, error };
  }

  announce(signalId: string): boolean {
    const history = this.#history();
    const record = history.find(({ kind, signalId: id }) => kind === 'trigger' && id === signalId);
    if (record === undefined || record.remote) return false;
    this.metrics.increment(ESCALATIONS);
    const { level, monotonicNs, reason, step, ticket } = record;
    const previousLevel = levelBefore(history, record) as EmergencyLevel;
    const repeat = level <= previousLevel;
    const exempt = !repeat || level === EmergencyLevel.EMERGENCY_LEVEL_HALT;
    const facts = factsOfRecord(record, undefined);
    // The supervisor may have been faster by as long as the training hung.
    const { route } = record.published
      ? { route: 'flag' as const }
      : this.#publishing.send({ facts, level, exempt, ticket });
    this.#tell(
      { signalId, monotonicNs, level, previousLevel, repeat, reason, step },
      { reason, route, error: undefined },
    );
    return true;
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

  /** The flag first, then at once the bus. */
  #raiseAndSend(asked: Asked): SentRaise {
    // Before the bus: telemetry carries it.
    this.metrics.increment(ESCALATIONS);
    const { level, reason, step } = asked;
    const fields = { reason, step, origin: this.#options.origin, runId: this.runId };
    const { answer, error } = tryRaise(
      this.signal,
      level,
      fields,
      ({ signalId, monotonicNs, wallNs, ticket }) =>
        this.#send(asked, signalId, monotonicNs, wallMsOf(wallNs), ticket),
    );
    if (error === undefined && answer !== undefined) return answer;
    // Without a flag it still has to be told apart from others on the bus.
    const sent =
      answer ?? this.#send(asked, randomUUID(), this.clock.monotonicNs(), this.clock.wallMs(), undefined);
    return { ...sent, error };
  }

  /** Sends what the flag's record holds: bus and shared memory tell the same. */
  #send(asked: Asked, signalId: string, monotonicNs: bigint, wallMs: number, ticket?: bigint): SentRaise {
    const { level, step, exempt } = asked;
    const { origin, runId } = this.#stored;
    const reason = cutUtf8(wellFormed(asked.reason), TEXT_BOUNDS.reason);
    const clearedSignalId = undefined;
    const facts = { signalId, level, reason, origin, runId, step, monotonicNs, wallMs, clearedSignalId };
    const { route, capped } = this.#publishing.send({ facts, level, exempt, ticket });
    return { signalId, monotonicNs, reason, route, capped, error: undefined };
  }

  /** What the ring holds; nothing of a flag that was closed. */
  #history(): readonly EmergencyRecord[] {
    try {
      return this.signal.history();
    } catch (error) {
      this.#flagFailed(error, 'the emergency flag could not be read');
      return [];
    }
  }

  /** Counts, logs and emits a raise. */
  #tell(raise: RaiseFacts, { reason, route, error }: Pick<SentRaise, 'reason' | 'route' | 'error'>): void {
    const { signalId, level, previousLevel, repeat, step } = raise;
    this.metrics.increment(LEVEL_ESCALATIONS[level] as string);
    if (repeat) this.metrics.increment(REPEATS);
    if (error !== undefined) this.#flagFailed(error, 'the emergency flag could not be set');
    const text = `emergency ${levelName(level)} ${repeat ? 'repeated' : 'raised'}: ${reason}`;
    this.logger.warn({ signalId, level, previousLevel, step, route }, text);
    this.#listeners.emit({ type: 'raised', ...raise });
  }

  #flagFailed(error: unknown, what: string): void {
    this.metrics.increment(`${PREFIX}.flag_failed_total`);
    this.logger.error({ error: errorMessage(error) }, what);
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
