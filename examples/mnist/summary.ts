import type { Moment } from './timeline.ts';
import { acknowledged, type Check, type Halt, type HostFacts, hashesMatch } from './verdict.ts';

interface Timed {
  readonly monotonicMs: number;
}

/** Milliseconds from one event to another, to the microsecond; undefined when either never came. */
function since(from: Timed | undefined, to: Timed | undefined): number | undefined {
  return from && to && toMicroseconds(to.monotonicMs - from.monotonicMs);
}

function toMicroseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

/** From `trigger` entered to Weatherlight's listener entered, as Weatherlight measured it. */
function detectLatency(detected: HostFacts['raiseDetected']): number | undefined {
  return detected?.latencyMs === undefined ? undefined : toMicroseconds(detected.latencyMs);
}

export interface Outcome {
  readonly runId: string;
  /** The host where the fault and the HALT were raised. */
  readonly main: HostFacts;
  readonly others: readonly HostFacts[];
  readonly halt: Halt;
}

/** The machine-readable result, one line of JSON with `--json`. Times are in milliseconds. */
export function summarise({ runId, main, others, halt }: Outcome, checks: readonly Check[]) {
  const [rollback] = main.rollbacks;
  return {
    demo: 'mnist',
    ok: checks.every((check) => check.ok),
    runId,
    kind: main.ready?.signalKind,
    bus: others.length === 0 ? 'embedded' : 'redis',
    trainer: {
      testAccuracy: main.finished?.testAccuracy,
      rollbacks: main.finished?.rollbacks,
      restoredHashMatches: hashesMatch(main),
      restoredHash: rollback?.restoredHash,
      restoreMs: rollback && toMicroseconds(rollback.restoreMs),
      steps: main.finished?.step,
      faultAtStep: main.fault?.step,
      lossBeforeFault: main.fault?.loss,
      lossAtRollback: rollback?.loss,
      learningRate: main.rollbacks.at(-1)?.learningRate,
    },
    emergency: {
      signalId: main.raised?.signalId,
      level: main.raised?.level,
      detectLatencyMs: detectLatency(main.raiseDetected),
      cleared: main.cleared !== undefined,
      haltSignalId: halt?.signalId,
      haltDetectLatencyMs: detectLatency(main.haltDetected),
      haltLatencyMs: since(halt, main.halted),
      haltAcknowledged: acknowledged(main),
    },
    otherHosts: others.map((other) => ({
      trainer: other.host.trainer,
      remoteFlagLatencyMs: since(main.raised, other.raiseBridged),
      haltRemoteFlagLatencyMs: since(halt, other.haltBridged),
      haltLatencyMs: since(halt, other.halted),
      haltAcknowledged: acknowledged(other),
      testAccuracy: other.finished?.testAccuracy,
    })),
    failures: checks.filter((check) => !check.ok).map((check) => check.what),
  };
}

/** What happened, for the timeline, in any order. */
export function momentsOf({ main, others, halt }: Outcome): Moment[] {
  const moments: Moment[] = [];
  const add = (
    who: string,
    event: Timed | undefined,
    what: string,
    after?: [Timed | undefined, string],
  ): void => {
    if (event === undefined) return;
    const ms = after && since(after[0], event);
    moments.push({
      atMs: event.monotonicMs,
      who,
      what,
      ...(ms !== undefined && { latency: { ms, after: after![1] } }),
    });
  };
  const raise: [Timed | undefined, string] = [main.raised, 'the raise'];
  const halting: [Timed | undefined, string] = [halt, 'HALT'];
  const { trainer, weatherlight } = main.host;

  add(trainer, main.ready, 'training begins');
  add(trainer, main.fault, 'a fault multiplies the learning rate');
  add(trainer, main.raised, 'loss explodes, guard raises CONSERVATIVE', [main.fault, 'the fault']);
  add(weatherlight, enteredAt(main.raised, main.raiseDetected), 'sees it in shared memory', raise);
  add(trainer, main.rollbacks[0], 'is rolled back, checked, rate halved', raise);
  add(trainer, main.cleared, 'is well again, guard lowers the flag', raise);
  add(trainer, main.target, 'reaches its target, trains on');
  add('operator', halt, 'raises HALT');
  add(weatherlight, enteredAt(halt, main.haltDetected), 'sees it in shared memory', halting);
  add(trainer, main.halted, 'stops and acknowledges', halting);
  add(weatherlight, main.haltAcknowledged, 'has every acknowledgement', halting);
  for (const other of others) {
    add(other.host.trainer, other.ready, 'training begins');
    add(other.host.weatherlight, other.raiseBridged, "raises its host's flag, told by Redis", raise);
    add(other.host.trainer, other.cleared, "sees its host's flag lowered", [main.cleared, 'the clear']);
    add(other.host.trainer, other.target, 'reaches its target, trains on');
    add(other.host.weatherlight, other.haltBridged, "raises its host's flag, told by Redis", halting);
    add(other.host.trainer, other.halted, 'stops and acknowledges', halting);
    add(other.host.weatherlight, other.haltAcknowledged, 'has every acknowledgement', halting);
  }
  return moments;
}

/** The report of a detection is written after it; the latency in it says when it was. */
function enteredAt(raised: Timed | undefined, detected: HostFacts['raiseDetected']): Timed | undefined {
  if (raised === undefined || detected?.latencyMs === undefined) return detected;
  return { monotonicMs: raised.monotonicMs + detected.latencyMs };
}
