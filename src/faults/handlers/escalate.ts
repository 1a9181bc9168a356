import { type Clock, systemClock } from '../../core/clock.ts';
import { integer } from '../../core/option-rows.ts';
import { optionTable, type ResolvedOptions } from '../../core/option-table.ts';
import { EmergencyLevel, ErrorSeverity } from '../../leyline/messages.ts';
import type { ErrorEvent } from '../error-event.ts';
import type { ErrorHandler } from '../error-handler.ts';

const CRITICAL = ErrorSeverity.ERROR_SEVERITY_CRITICAL;

/** Which events become an emergency, and of which level. What a rule does not name is not looked at. */
export interface EscalationRule {
  readonly code?: string;
  readonly minSeverity?: ErrorSeverity;
  readonly recoverable?: boolean;
  /** EMERGENCY_LEVEL_UNSPECIFIED: none, and later rules are not looked at. */
  readonly level: EmergencyLevel;
}

/**
 * The first rule that fits decides.
 * - An adapter's or emitter's open breaker and the degraded mode, recoverable or not: none. The breaker and the
 *   degradation are the answer; a rollback of the training would not mend them.
 * - A component that will not recover by itself: CONSERVATIVE, so that the run rolls back and operators are told.
 * - Any other CRITICAL error: NOTICE.
 */
export const DEFAULT_ESCALATION_RULES: readonly EscalationRule[] = Object.freeze([
  { code: 'ADAPTER_CIRCUIT_OPEN', level: EmergencyLevel.EMERGENCY_LEVEL_UNSPECIFIED },
  { code: 'EMITTER_CIRCUIT_OPEN', level: EmergencyLevel.EMERGENCY_LEVEL_UNSPECIFIED },
  { code: 'DEGRADED_MODE_ACTIVATED', level: EmergencyLevel.EMERGENCY_LEVEL_UNSPECIFIED },
  { minSeverity: CRITICAL, recoverable: false, level: EmergencyLevel.EMERGENCY_LEVEL_CONSERVATIVE },
  { minSeverity: CRITICAL, level: EmergencyLevel.EMERGENCY_LEVEL_NOTICE },
]);

export const ESCALATION_OPTIONS = optionTable(
  {
    owner: 'escalateHandler',
    title: 'Escalation of errors',
    intro: 'Errors that become an emergency, by rules of severity and code.',
  },
  {
    repeatMs: integer({
      text: 'The same error (code, component) at the same level is escalated no more than once in this time.',
      atLimit: 'Counted as repeated; a higher level is escalated at once.',
      unit: 'ms',
      default: 60_000,
      min: 0,
      max: 86_400_000,
    }),
    maxRemembered: integer({
      text: 'Errors that are remembered for `repeatMs`.',
      atLimit: 'The one escalated longest ago is forgotten.',
      unit: 'errors',
      default: 256,
      min: 1,
      max: 100_000,
    }),
  },
);

export type EscalationOptions = Partial<ResolvedOptions<typeof ESCALATION_OPTIONS.rows>>;

export interface EscalateHandlerParts {
  /** Raises an emergency; the level only rises with repeated calls. */
  readonly escalate: (level: EmergencyLevel, reason: string, event: ErrorEvent) => void | Promise<void>;
  /** Default: DEFAULT_ESCALATION_RULES. */
  readonly rules?: readonly EscalationRule[];
  readonly clock?: Pick<Clock, 'monotonicMs'>;
}

export interface EscalateHandler extends ErrorHandler {
  snapshot(): { readonly escalated: number; readonly repeated: number };
}

/** Throws OptionError. */
export function escalateHandler(
  { escalate, rules = DEFAULT_ESCALATION_RULES, clock = systemClock }: EscalateHandlerParts,
  options: EscalationOptions = {},
): EscalateHandler {
  const { repeatMs, maxRemembered } = ESCALATION_OPTIONS.resolve(options);
  const last = new Map<string, { readonly level: EmergencyLevel; readonly atMs: number }>();
  let escalated = 0;
  let repeated = 0;
  const isRepeat = (key: string, level: EmergencyLevel, nowMs: number): boolean => {
    const before = last.get(key);
    return before !== undefined && before.level >= level && nowMs - before.atMs < repeatMs;
  };
  return Object.freeze({
    name: 'escalate',
    minSeverity: leastSeverity(rules),
    handle: async (event) => {
      const level = rules.find((rule) => fits(rule, event))?.level ?? 0;
      if (level === EmergencyLevel.EMERGENCY_LEVEL_UNSPECIFIED) return;
      const key = JSON.stringify([event.code, event.component]);
      const nowMs = clock.monotonicMs();
      if (isRepeat(key, level, nowMs)) {
        repeated += 1;
        return;
      }
      await escalate(level, `${event.code} in ${event.component}: ${event.message}`, event);
      // Only now: one that could not be raised is tried again with the next event.
      escalated += 1;
      last.delete(key);
      last.set(key, { level, atMs: nowMs });
      const [oldest] = last.keys();
      if (last.size > maxRemembered && oldest !== undefined) last.delete(oldest);
    },
    snapshot: () => Object.freeze({ escalated, repeated }),
  } satisfies EscalateHandler);
}

/** Of what any rule escalates: the rest need not be handed over. */
function leastSeverity(rules: readonly EscalationRule[]): ErrorSeverity {
  const raising = rules.filter(({ level }) => level !== EmergencyLevel.EMERGENCY_LEVEL_UNSPECIFIED);
  return Math.min(
    CRITICAL,
    ...raising.map(({ minSeverity }) => minSeverity ?? ErrorSeverity.ERROR_SEVERITY_DEBUG),
  );
}

function fits({ code, minSeverity, recoverable }: EscalationRule, event: ErrorEvent): boolean {
  if (code !== undefined && code !== event.code) return false;
  if (minSeverity !== undefined && event.severity < minSeverity) return false;
  return recoverable === undefined || recoverable === event.recoverable;
}
