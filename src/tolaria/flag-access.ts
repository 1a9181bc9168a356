import { errorMessage, OptionError } from '../core/errors.ts';
import type { EmergencyLevel } from '../leyline/messages.ts';
import type { EmergencyRecord, EmergencySignal, Raised, RaiseFields, Seen } from '../signals/types.ts';
import { TolariaError } from './errors.ts';
import { FAST_PATH_LEVEL } from './levels.ts';

export interface Tried<T> {
  /** What `onRaised` returned; undefined when the flag failed before it was called. */
  readonly answer: T | undefined;
  readonly error: TolariaError | undefined;
}

/** Sets the flag and calls `onRaised` right then. Only a caller's mistake (`OptionError`) is thrown. */
export function tryRaise<T>(
  signal: EmergencySignal,
  level: EmergencyLevel,
  fields: RaiseFields,
  onRaised: (raised: Raised) => T,
): Tried<T> {
  let answer: T | undefined;
  try {
    signal.raise(level, fields, (raised) => {
      answer = onRaised(raised);
    });
    return { answer, error: undefined };
  } catch (cause) {
    if (cause instanceof OptionError) throw cause;
    const message = `flag ${signal.name} could not be set: ${errorMessage(cause)}`;
    return { answer, error: new TolariaError('ESPER_TOLARIA_FLAG_FAILED', message, { cause }) };
  }
}

/** What lifted the flag to where it stands: the records since the last clear. */
export interface RaisesNow {
  readonly raises: readonly EmergencyRecord[];
  /** False when the ring lost some of them, or one is still being applied. */
  readonly complete: boolean;
}

/** True when generation `a` came after `b`, modulo 2^32. */
function isAfter(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}

/**
 * The triggers that `seen` consists of. Every applied trigger and clear counts the generation up by one, so their
 * number tells whether the ring still holds them all.
 */
export function raisesBehind(history: readonly EmergencyRecord[], seen: Seen): RaisesNow {
  const applied = history.filter(
    ({ generation }) => generation !== 0 && !isAfter(generation, seen.generation),
  );
  let clearedAt: number | undefined;
  for (const { kind, generation } of applied) {
    if (kind === 'clear' && (clearedAt === undefined || isAfter(generation, clearedAt)))
      clearedAt = generation;
  }
  const raises = applied.filter(
    ({ kind, generation }) =>
      kind === 'trigger' && (clearedAt === undefined || isAfter(generation, clearedAt)),
  );
  const expected = (seen.generation - (clearedAt ?? 0)) >>> 0;
  const pending = history.some((record) => record.generation === 0);
  return { raises, complete: raises.length === expected && !pending };
}

/**
 * The ids that a clear of `cleared` ended, `named` left out: what other hosts may have of them. Those the ring lost are
 * missing, and stand elsewhere until somebody clears them there.
 */
export function endedBesides(history: readonly EmergencyRecord[], cleared: Seen, named: string): string[] {
  return raisesBehind(history, cleared)
    .raises.filter(({ level, signalId }) => level >= FAST_PATH_LEVEL && signalId !== named)
    .map(({ signalId }) => signalId);
}

/**
 * The emergency that holds the flag at its level: the latest raise to that level. Other hosts know it by this id;
 * a lower repeat that came after it may never have left this host.
 */
export function holderOf(history: readonly EmergencyRecord[], seen: Seen): EmergencyRecord | undefined {
  return raisesBehind(history, seen).raises.findLast((record) => record.level === seen.level);
}

/** Level of the flag just before that raise, as far as the ring tells. */
export function levelBefore(history: readonly EmergencyRecord[], raise: EmergencyRecord): number {
  const { generation, level, ticket } = raise;
  const before = raisesBehind(history, { generation, level }).raises.filter(
    (other) => other.ticket !== ticket,
  );
  return Math.max(0, ...before.map((other) => other.level));
}
