import { existsSync } from 'node:fs';
import { FastpathError } from '../core/errors.ts';
import { requireName } from '../native/names.ts';
import { openEmergencySignal } from '../signals/emergency-signal.ts';
import type { EmergencySignal } from '../signals/types.ts';

/** Exit codes of esper-fastpath; its help lists them. */
export const EXIT = { done: 0, failed: 1, usage: 2, notShared: 3, noSuchSignal: 4, isSet: 5 } as const;

/** A command that ends without having done what was asked. `exitCode` is the process's. */
export class CommandError extends FastpathError {
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super('ESPER_CLI_FAILED', message);
    this.exitCode = exitCode;
  }
}

export interface TargetOptions {
  readonly name?: string;
  readonly runId?: string;
}

/** Which flag a command is about, and the run that it belongs to ('' when only a name is known). */
export interface Target {
  readonly name: string;
  readonly runId: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Options first, then the variables that trainers and supervisor read, then their default. */
export function resolveTarget(options: TargetOptions, env: Environment): Target {
  const envRunId = env.ESPER_RUN_ID || undefined;
  const named =
    options.name ??
    (options.runId === undefined ? env.TOLARIA_EMERGENCY_SIGNAL_NAME || undefined : undefined);
  const runId = options.runId ?? envRunId;
  const name = named ?? `emergency-${runId ?? 'default'}`;
  requireName(name);
  return { name, runId: runId ?? (named === undefined ? 'default' : '') };
}

/** Where the segment of that name lies for this user. */
export function segmentPath(name: string): string {
  return `/dev/shm/esper.${process.getuid?.() ?? 0}.${name}`;
}

/** Throws CommandError when there is no file of that name. */
export function requireSegment(target: Target): void {
  const path = segmentPath(target.name);
  if (existsSync(path)) return;
  throw new CommandError(EXIT.noSuchSignal, `there is no signal "${target.name}" (${path})`);
}

/**
 * Opens the flag, uses it, closes it. `mustExist`: looking at a flag must not create one.
 * Throws CommandError when the memory is not shared: nothing done there would be seen by anybody.
 */
export function withSignal<T>(target: Target, mustExist: boolean, use: (signal: EmergencySignal) => T): T {
  if (mustExist) requireSegment(target);
  const signal = openEmergencySignal(target.name, { keepAlive: false });
  try {
    if (signal.degraded !== undefined) {
      const { code, reason } = signal.degraded;
      const advice = 'esper-fastpath doctor tells more';
      throw new CommandError(EXIT.notShared, `shared memory cannot be used: ${reason} (${code}); ${advice}`);
    }
    return use(signal);
  } finally {
    signal.close();
  }
}
