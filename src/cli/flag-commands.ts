import { EmergencyLevel } from '../leyline/messages.ts';
import { loadNative } from '../native/load.ts';
import { openEmergencySignal } from '../signals/emergency-signal.ts';
import type { Participant } from '../signals/participant-types.ts';
import type { EmergencyRecord, EmergencySignal } from '../signals/types.ts';
import { raisesBehind } from '../tolaria/flag-access.ts';
import { levelName } from '../tolaria/levels.ts';
import { print, printableText, printError, printJson, table } from './output.ts';
import { CommandError, EXIT, requireSegment, segmentPath, type Target, withSignal } from './target.ts';

const CLEAR_ATTEMPTS = 5;

/** 'halt', 'HALT' or '4'. Throws CommandError with the usage exit code on anything else. */
export function parseLevel(text: string): EmergencyLevel {
  const levels = [1, 2, 3, 4] as const satisfies readonly EmergencyLevel[];
  const found = levels.find((level) => text === String(level) || text.toLowerCase() === levelName(level));
  if (found === undefined) {
    const allowed = levels.map((level) => `${levelName(level)} (${level})`).join(', ');
    throw new CommandError(EXIT.usage, `level "${text}" is unknown; allowed: ${allowed}`);
  }
  return found;
}

function operator(): string {
  return `operator:${process.env.USER || process.env.LOGNAME || `uid-${process.getuid?.() ?? 'unknown'}`}`;
}

function live(signal: EmergencySignal): Participant[] {
  return signal.participants().filter((one) => one.alive);
}

function shownLevel(level: EmergencyLevel): string {
  return level === EmergencyLevel.EMERGENCY_LEVEL_UNSPECIFIED ? 'clear' : levelName(level).toUpperCase();
}

function plain(record: EmergencyRecord): object {
  const { wallNs, monotonicNs, ...rest } = record;
  return { ...rest, raisedAt: new Date(Number(wallNs / 1_000_000n)).toISOString(), monotonicNs };
}

export interface StatusOptions {
  readonly json: boolean;
  /** Exit with `EXIT.isSet` when the flag is set. */
  readonly check: boolean;
}

export function status(target: Target, options: StatusOptions): number {
  return withSignal(target, true, (signal) => {
    const state = signal.read();
    const { raises } = raisesBehind(signal.history(), state);
    const participants = live(signal);
    if (options.json) {
      const { name, path, kind } = signal;
      printJson({
        name,
        path,
        kind,
        ...state,
        standing: raises.map(plain),
        participants,
        stats: signal.stats(),
      });
    } else {
      print(`${signal.name}: ${shownLevel(state.level)} (generation ${state.generation}, ${signal.path})`);
      for (const one of raises) print(`  ${describeRecord(one)}`);
      print(participants.length === 0 ? 'no live participant' : participantTable(participants));
    }
    return options.check && state.level > 0 ? EXIT.isSet : EXIT.done;
  });
}

function participantTable(participants: readonly Participant[]): string {
  const rows = participants.map((one) => [
    one.role,
    printableText(one.name),
    String(one.pid),
    activity(one),
    String(one.seenGeneration),
    String(one.acknowledgedGeneration),
  ]);
  return table(['role', 'name', 'pid', 'phase', 'seen', 'acknowledged'], rows);
}

/** What it says that it does, and whether it has been silent about it for too long. */
function activity(one: Participant): string {
  if (one.suspended) return `${one.phase}, not judged`;
  if (!one.stale) return one.phase;
  return `${one.phase}, silent ${((one.limitMs + one.staleForMs) / 1000).toFixed(1)} s (limit ${one.limitMs / 1000} s)`;
}

function describeRecord(record: EmergencyRecord): string {
  const text = [
    record.reason,
    record.origin && `from ${record.origin}`,
    record.runId && `run ${record.runId}`,
  ];
  return `${shownLevel(record.level)} ${record.signalId} ${printableText(text.filter(Boolean).join(', '))}`;
}

export function history(target: Target, options: { readonly json: boolean }): number {
  return withSignal(target, true, (signal) => {
    const records = signal.history();
    if (options.json) printJson(records.map(plain));
    else if (records.length === 0) print(`${signal.name}: nothing was ever raised`);
    else print(historyTable(records));
    return EXIT.done;
  });
}

function historyTable(records: readonly EmergencyRecord[]): string {
  const rows = records.map((one) => [
    new Date(Number(one.wallNs / 1_000_000n)).toISOString(),
    one.kind === 'clear' ? (one.forced ? 'forced clear' : 'clear') : shownLevel(one.level),
    one.signalId,
    printableText(one.runId),
    String(one.step),
    one.remote ? 'other host' : one.published ? 'published' : 'not published',
    printableText(one.origin),
    printableText(one.reason),
  ]);
  return table(['raised at', 'what', 'signal id', 'run', 'step', 'bus', 'origin', 'reason'], rows);
}

export interface TriggerOptions {
  readonly reason: string;
  readonly json: boolean;
}

export function trigger(target: Target, levelText: string, options: TriggerOptions): number {
  const level = parseLevel(levelText);
  return withSignal(target, false, (signal) => {
    const { reason } = options;
    const signalId = signal.trigger(level, { reason, origin: operator(), runId: target.runId });
    const participants = live(signal);
    if (options.json) {
      printJson({ signalId, name: signal.name, level, created: signal.created, participants });
    } else {
      print(`${shownLevel(level)} raised on ${signal.name}: ${signalId}`);
    }
    // The flag stays for whoever attaches later, but the operator may have mistyped the name.
    if (participants.length === 0) printError(`warning: no process is attached to "${signal.name}"`);
    return EXIT.done;
  });
}

export interface ClearOptions {
  readonly reason: string;
  /** The highest level that may be cleared, as given. */
  readonly level?: string;
  readonly force: boolean;
  readonly json: boolean;
}

export function clear(target: Target, options: ClearOptions): number {
  return withSignal(target, true, (signal) => {
    const { reason, force } = options;
    const seen = signal.read();
    const meant = options.level === undefined ? undefined : parseLevel(options.level);
    requireMeant(signal, seen.level, meant);
    const fields = { reason, force, origin: operator(), runId: target.runId };
    let result = signal.clear(seen, fields);
    // The same level again is what the operator saw; a higher one is news, and stands.
    for (let attempt = 1; result.outcome === 'superseded' && attempt < CLEAR_ATTEMPTS; attempt++) {
      const now = signal.read();
      if (now.level > (meant ?? seen.level)) break;
      result = signal.clear(now, fields);
    }
    if (options.json) printJson({ name: signal.name, ...result });
    switch (result.outcome) {
      case 'cleared':
        if (!options.json) print(`${signal.name} cleared: ${result.signalId}`);
        return EXIT.done;
      case 'not-set':
        if (!options.json) print(`${signal.name} was not set`);
        return EXIT.done;
      case 'unseen': {
        const names = printableText(result.waitingFor.join(', '));
        throw new CommandError(
          EXIT.failed,
          `not cleared: not yet seen by ${names}; --force clears all the same`,
        );
      }
      case 'superseded':
        throw new CommandError(EXIT.failed, 'not cleared: the flag was raised meanwhile; look at it again');
    }
  });
}

/**
 * Between an operator's look and the clear something worse may have been raised and even seen by all: then the clear
 * would go through. So from CONSERVATIVE up the operator says what is meant.
 */
function requireMeant(
  signal: EmergencySignal,
  level: EmergencyLevel,
  meant: EmergencyLevel | undefined,
): void {
  const needed = level >= EmergencyLevel.EMERGENCY_LEVEL_CONSERVATIVE;
  if (meant === undefined ? !needed : level <= meant) return;
  const name = shownLevel(level);
  throw new CommandError(
    EXIT.failed,
    `not cleared: ${signal.name} stands at ${name}; to clear that, look at it (history) and say --level ${name.toLowerCase()}`,
  );
}

/** Who has the segment open; nobody can be named where it cannot even be attached to. */
function usersOf(target: Target): string[] {
  const signal = openEmergencySignal(target.name, { keepAlive: false });
  try {
    return signal.degraded === undefined
      ? live(signal).map((one) => `${one.role}:${one.name} ${one.pid}`)
      : [];
  } finally {
    signal.close();
  }
}

/** Also removes a segment that nobody can attach to, which is when an operator needs it. */
export function unlink(target: Target): number {
  const { module, error } = loadNative();
  if (error !== undefined) throw new CommandError(EXIT.notShared, `${error.code}: ${error.message}`);
  requireSegment(target);
  const users = usersOf(target);
  const outcome = module.unlink(target.name);
  print(`${segmentPath(target.name)} ${outcome}`);
  if (users.length > 0) {
    printError(`warning: still in use by ${printableText(users.join(', '))}; they keep the old memory`);
  }
  return EXIT.done;
}
