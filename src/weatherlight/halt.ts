import { generationReached } from '../native/generations.ts';
import type { Participant } from '../signals/participant-types.ts';
import type { FlagContext } from './context.ts';
import { HaltBlindError } from './errors.ts';
import type { HaltAnswer } from './events.ts';
import { createWaker } from './waker.ts';

/** Look at the participants this often until the bound, then every SLOW_POLL_MS; acknowledging wakes nobody. */
const POLL_MS = 1;
const SLOW_POLL_MS = 100;
/** Stragglers are named again after this. */
const REPEAT_MS = 5000;
const TRAINER = 'trainer';

export interface HaltRequest {
  readonly signalId: string;
  /** Generation that the HALT made; an acknowledgement of it or a later one answers it. */
  readonly generation: number;
  readonly triggeredNs: bigint;
}

export interface HaltSnapshot {
  readonly signalId: string;
  /** 'unanswered': nobody is left to wait for, but not all acknowledged. 'blind': the flag is process-local, nobody's acknowledgement can be seen. */
  readonly state: 'waiting' | 'late' | 'acknowledged' | 'unanswered' | 'withdrawn' | 'blind';
  readonly answers: readonly HaltAnswer[];
}

/** What became of a halt, for telemetry. */
export interface HaltOutcome {
  readonly signalId: string;
  readonly answers: readonly HaltAnswer[];
  readonly stragglers: readonly HaltAnswer[];
}

export interface HaltOrchestrator {
  begin(request: HaltRequest): void;
  /** A clear of that generation ends every halt raised before it. */
  withdraw(clearGeneration: number): void;
  /** The last halt, undefined when there was none. */
  snapshot(): HaltSnapshot | undefined;
  run(stop: AbortSignal): Promise<void>;
}

/** For people: who acknowledged, and who ended or still runs without having acknowledged. */
export function haltTitle(answers: readonly HaltAnswer[]): string {
  const named = (outcome: HaltAnswer['outcome']): string =>
    answers
      .filter((one) => one.outcome === outcome)
      .map((one) => `${one.name} (pid ${one.pid}${one.stale ? ', silent' : ''})`)
      .join(', ');
  const count = answers.filter((one) => one.outcome === 'acknowledged').length;
  const [waiting, gone] = [named('waiting'), named('gone')];
  const parts = [
    waiting === '' ? `HALT acknowledged by ${count} trainer(s)` : `HALT not acknowledged by ${waiting}`,
    gone === '' ? '' : `gone without acknowledging: ${gone}`,
  ];
  return parts.filter(Boolean).join('; ');
}

class OpenHalt {
  readonly request: HaltRequest;
  readonly answers = new Map<string, HaltAnswer>();
  state: HaltSnapshot['state'] = 'waiting';
  /** When the stragglers were named last, milliseconds after the trigger. */
  namedMs: number | undefined;

  constructor(request: HaltRequest) {
    this.request = request;
  }

  list(): HaltAnswer[] {
    return [...this.answers.values()];
  }

  waiting(): HaltAnswer[] {
    return this.list().filter((answer) => answer.outcome === 'waiting');
  }

  /** Brings the answers up to date with what the slots say now. */
  observe(participants: readonly Participant[], elapsedMs: number): void {
    const present = new Set<string>();
    for (const one of participants) {
      if (one.role !== TRAINER) continue;
      const key = `${one.slot}/${one.pid}/${one.startTimeTicks}`;
      const known = this.answers.get(key);
      // Who is dead already when the halt begins has nothing to answer.
      if (known === undefined && !one.alive) continue;
      present.add(key);
      if (known !== undefined && known.outcome !== 'waiting') continue;
      const acknowledged = generationReached(one.acknowledgedGeneration, this.request.generation);
      const outcome = acknowledged ? 'acknowledged' : one.alive ? 'waiting' : 'gone';
      const stale = outcome === 'waiting' && one.stale;
      this.answers.set(key, { name: one.name, pid: one.pid, outcome, stale, latencyMs: elapsedMs });
    }
    for (const [key, answer] of this.answers) {
      if (answer.outcome === 'waiting' && !present.has(key)) {
        this.answers.set(key, { ...answer, outcome: 'gone', stale: false, latencyMs: elapsedMs });
      }
    }
  }
}

/**
 * Follows each HALT until every live trainer has acknowledged it or is gone, and names those that are late: after
 * `haltAckTimeoutMs`, and again every five seconds.
 */
export function createHaltOrchestrator(
  context: FlagContext,
  onOutcome: (outcome: HaltOutcome) => void,
): HaltOrchestrator {
  const { clock, metrics, settings } = context;
  const waker = createWaker(clock);
  const open = new Set<OpenHalt>();
  let last: OpenHalt | undefined;

  function elapsedMs(halt: OpenHalt): number {
    return Number(clock.monotonicNs() - halt.request.triggeredNs) / 1e6;
  }

  function complete(halt: OpenHalt): void {
    open.delete(halt);
    const { signalId } = halt.request;
    const participants = halt.list();
    const gone = participants.filter((one) => one.outcome === 'gone').map((one) => one.name);
    const told = { signalId, late: halt.namedMs !== undefined, participants };
    metrics.setGauge('weatherlight.halt.stragglers', 0);
    if (gone.length === 0) {
      halt.state = 'acknowledged';
      metrics.increment('weatherlight.halt.acknowledged_total');
      context.emit({ type: 'haltAcknowledged', ...told });
      context.logger.info({ signalId, participants }, haltTitle(participants));
    } else {
      // Killed in the middle of a step it has not stopped as a trainer stops: nothing was saved.
      halt.state = 'unanswered';
      metrics.increment('weatherlight.halt.unanswered_total');
      context.emit({ type: 'haltUnanswered', ...told, gone });
      context.logger.error({ signalId, participants }, haltTitle(participants));
    }
    onOutcome({ signalId, answers: participants, stragglers: [] });
  }

  /** Saying "acknowledged by everybody" here would be a lie that ends an operator's worry. */
  function giveUp(halt: OpenHalt, code: string): void {
    halt.state = 'blind';
    open.delete(halt);
    context.reportError('halt', new HaltBlindError(halt.request.signalId, code));
  }

  function nameStragglers(halt: OpenHalt, stragglers: readonly HaltAnswer[], afterMs: number): void {
    halt.state = 'late';
    halt.namedMs = afterMs;
    const { signalId } = halt.request;
    metrics.increment('weatherlight.halt.stragglers_named_total');
    metrics.setGauge('weatherlight.halt.stragglers', stragglers.length);
    context.emit({ type: 'haltStragglers', signalId, afterMs, stragglers });
    context.logger.error({ signalId, afterMs, stragglers }, 'HALT not acknowledged in time');
    onOutcome({ signalId, answers: halt.list(), stragglers });
  }

  function check(halt: OpenHalt, participants: readonly Participant[]): void {
    const elapsed = elapsedMs(halt);
    halt.observe(participants, elapsed);
    const waiting = halt.waiting();
    if (waiting.length === 0) {
      complete(halt);
      return;
    }
    const nameAt = halt.namedMs === undefined ? settings.haltAckTimeoutMs : halt.namedMs + REPEAT_MS;
    if (elapsed >= nameAt) nameStragglers(halt, waiting, elapsed);
  }

  function checkAll(): void {
    const participants = context.signal.participants();
    for (const halt of [...open]) check(halt, participants);
  }

  function nextPollMs(): number {
    const fresh = [...open].some((halt) => halt.namedMs === undefined);
    return fresh ? POLL_MS : SLOW_POLL_MS;
  }

  return {
    begin(request) {
      const halt = new OpenHalt(request);
      // A late halt that a newer one repeats is answered with it; kept, repeated halts would pile up for ever.
      for (const older of open) if (older.namedMs !== undefined) open.delete(older);
      last = halt;
      open.add(halt);
      halt.observe(context.signal.participants(), elapsedMs(halt));
      const waitingFor = halt.waiting().map((one) => one.name);
      metrics.increment('weatherlight.halt.started_total');
      context.emit({ type: 'haltStarted', signalId: request.signalId, waitingFor });
      const { degraded } = context.signal;
      if (waitingFor.length > 0) waker.kick();
      else if (degraded === undefined) complete(halt);
      else giveUp(halt, degraded.code);
    },
    withdraw(clearGeneration) {
      for (const halt of [...open]) {
        if (!generationReached(clearGeneration, halt.request.generation)) continue;
        halt.state = 'withdrawn';
        open.delete(halt);
        metrics.setGauge('weatherlight.halt.stragglers', 0);
        const waitedFor = halt.waiting().map((one) => one.name);
        context.emit({ type: 'haltWithdrawn', signalId: halt.request.signalId, waitedFor });
      }
    },
    snapshot() {
      if (last === undefined) return undefined;
      return { signalId: last.request.signalId, state: last.state, answers: last.list() };
    },
    async run(stop) {
      while (!stop.aborted) {
        try {
          checkAll();
        } catch (error) {
          context.reportError('halt', error);
        }
        await waker.wait(open.size === 0 ? undefined : nextPollMs(), stop);
      }
    },
  };
}
