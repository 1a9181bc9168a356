/** The bus's health in Leyline's terms: what is found, how bad it is, in one line and as indicators. */
import { CircuitBreakerState, HealthStatus } from '../../leyline/messages.ts';
import type { DeadLetterCount } from './dead-letter-gauge.ts';
import type { LastError } from './last-errors.ts';
import { ROLE_NAMES, STREAM_ROLES, type StreamRole } from './observers.ts';
import type { SloSnapshot } from './slo-tracker.ts';

/** What health is judged by. Durations in milliseconds. */
export interface HealthFacts {
  /** The engine answered at least once since the start. */
  readonly everConnected: boolean;
  /** For how long it has been away; 0 while it is there. */
  readonly disconnectedMs: number;
  readonly breakers: Readonly<Record<string, CircuitBreakerState>>;
  readonly conservativeMode: boolean;
  readonly depths: Readonly<Partial<Record<StreamRole, number>>>;
  readonly oldestPendingMs: number | undefined;
  readonly deadLetters: DeadLetterCount | undefined;
  readonly activeAlerts: SloSnapshot['activeAlerts'];
  readonly lastErrors: readonly LastError[];
}

export interface HealthLimits {
  readonly disconnectGraceMs: number;
  readonly disconnectCriticalMs: number;
  readonly oldestPendingLimitMs: number;
  readonly deadLetterLimit: number;
  readonly highDepth: number;
}

export interface HealthSnapshot {
  readonly status: HealthStatus;
  /** Can publish: the engine was reached, is not away for longer than the grace, and the publish breaker lets through. */
  readonly ready: boolean;
  /** One line for people. */
  readonly summary: string;
  /** By name, as they go into SystemHealth. */
  readonly indicators: Readonly<Record<string, string>>;
  readonly lastErrors: readonly LastError[];
  /** Unix milliseconds. */
  readonly atMs: number;
}

export interface Finding {
  readonly status: HealthStatus;
  readonly text: string;
}

const { HEALTH_STATUS_HEALTHY, HEALTH_STATUS_UNKNOWN } = HealthStatus;
const { HEALTH_STATUS_DEGRADED, HEALTH_STATUS_UNHEALTHY, HEALTH_STATUS_CRITICAL } = HealthStatus;

/** The breaker without which nothing leaves this process. */
const VITAL_BREAKER = 'publish';

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

function* connectionFindings(facts: HealthFacts, limits: HealthLimits): Generator<Finding> {
  const { everConnected, disconnectedMs } = facts;
  if (disconnectedMs <= 0) return;
  const text = everConnected ? `engine away for ${seconds(disconnectedMs)}` : 'engine not reached yet';
  if (disconnectedMs >= limits.disconnectCriticalMs) yield { status: HEALTH_STATUS_CRITICAL, text };
  else if (disconnectedMs >= limits.disconnectGraceMs) yield { status: HEALTH_STATUS_UNHEALTHY, text };
  else yield { status: everConnected ? HEALTH_STATUS_DEGRADED : HEALTH_STATUS_UNKNOWN, text };
}

function* breakerFindings({ breakers }: HealthFacts): Generator<Finding> {
  for (const [name, state] of Object.entries(breakers)) {
    if (state === CircuitBreakerState.CIRCUIT_STATE_OPEN) {
      const status = name === VITAL_BREAKER ? HEALTH_STATUS_UNHEALTHY : HEALTH_STATUS_DEGRADED;
      yield { status, text: `${name} breaker open` };
    } else if (state === CircuitBreakerState.CIRCUIT_STATE_HALF_OPEN) {
      yield { status: HEALTH_STATUS_DEGRADED, text: `${name} breaker half open` };
    }
  }
}

function* backlogFindings(facts: HealthFacts, limits: HealthLimits): Generator<Finding> {
  if (facts.conservativeMode) yield { status: HEALTH_STATUS_DEGRADED, text: 'conservative mode' };
  for (const role of STREAM_ROLES) {
    const depth = facts.depths[role] ?? 0;
    if (role !== 'deadLetter' && depth >= limits.highDepth) {
      yield { status: HEALTH_STATUS_DEGRADED, text: `${ROLE_NAMES[role]} ${depth} deep` };
    }
  }
  const { oldestPendingMs = 0, deadLetters } = facts;
  if (oldestPendingMs >= limits.oldestPendingLimitMs) {
    yield { status: HEALTH_STATUS_DEGRADED, text: `an entry is pending for ${seconds(oldestPendingMs)}` };
  }
  if (deadLetters !== undefined && deadLetters.count >= limits.deadLetterLimit) {
    yield { status: HEALTH_STATUS_DEGRADED, text: `${deadLetters.count} dead letters` };
  }
}

function* alertFindings({ activeAlerts }: HealthFacts): Generator<Finding> {
  const seen = new Set<string>();
  // The gravest first: one objective is told once.
  const ordered = [...activeAlerts].sort(
    (a, b) => Number(b.severity === 'page') - Number(a.severity === 'page'),
  );
  for (const { objective, severity } of ordered) {
    if (seen.has(objective)) continue;
    seen.add(objective);
    const status = severity === 'page' ? HEALTH_STATUS_UNHEALTHY : HEALTH_STATUS_DEGRADED;
    yield { status, text: `objective ${objective} in danger` };
  }
}

/** Worst first. */
export function findingsOf(facts: HealthFacts, limits: HealthLimits): Finding[] {
  return [
    ...connectionFindings(facts, limits),
    ...breakerFindings(facts),
    ...backlogFindings(facts, limits),
    ...alertFindings(facts),
  ].sort((a, b) => b.status - a.status);
}

export function healthOf(facts: HealthFacts, limits: HealthLimits, atMs: number): HealthSnapshot {
  const findings = findingsOf(facts, limits);
  // Worst first; an engine that was not reached yet alone makes it UNKNOWN.
  const status = findings[0]?.status ?? HEALTH_STATUS_HEALTHY;
  return Object.freeze({
    status,
    ready: isReady(facts, limits),
    summary: findings.length === 0 ? 'well' : findings.map(({ text }) => text).join('; '),
    indicators: indicatorsOf(facts),
    lastErrors: facts.lastErrors,
    atMs,
  });
}

function isReady(facts: HealthFacts, limits: HealthLimits): boolean {
  const { everConnected, disconnectedMs, breakers } = facts;
  const isAway = disconnectedMs > 0 && disconnectedMs >= limits.disconnectGraceMs;
  return everConnected && !isAway && breakers[VITAL_BREAKER] !== CircuitBreakerState.CIRCUIT_STATE_OPEN;
}

function indicatorsOf(facts: HealthFacts): Readonly<Record<string, string>> {
  const { activeAlerts, deadLetters, lastErrors, oldestPendingMs } = facts;
  const indicators: Record<string, string> = {
    connected: String(facts.disconnectedMs <= 0),
    conservative_mode: String(facts.conservativeMode),
    alerts: activeAlerts.map(({ objective, rule }) => `${objective}:${rule}`).join(' '),
    // Never higher: the packets of N hosts would fill the emergency stream when all of them are unwell.
    priority: 'MESSAGE_PRIORITY_NORMAL',
  };
  for (const [name, state] of Object.entries(facts.breakers)) {
    indicators[`breaker_${name}`] = CircuitBreakerState[state] ?? String(state);
  }
  for (const role of STREAM_ROLES) {
    const depth = facts.depths[role];
    if (depth !== undefined) indicators[`queue_depth_${ROLE_NAMES[role]}`] = String(depth);
  }
  if (oldestPendingMs !== undefined) indicators.oldest_pending_ms = String(Math.round(oldestPendingMs));
  if (deadLetters !== undefined) indicators.dead_letters = String(deadLetters.count);
  const last = lastErrors.at(-1);
  if (last !== undefined) indicators.last_error = `${last.component}: ${last.code}`;
  return Object.freeze(indicators);
}

/** What an HTTP server answers; without one in here. */
export interface HealthzResult {
  readonly statusCode: 200 | 503;
  readonly contentType: 'application/json';
  readonly body: string;
}

/**
 * 'live': always 200, whatever the engine does: a Redis that is away must not restart the fleet, and a process whose
 * loop is stuck answers nothing. 'ready': see HealthSnapshot; a missed objective takes nobody out of service.
 */
export function healthzOf(probe: 'live' | 'ready', health: HealthSnapshot): HealthzResult {
  const { status, summary, indicators } = health;
  const ok = probe === 'live' || health.ready;
  const body = JSON.stringify({ probe, ok, status: HealthStatus[status], summary, indicators });
  return Object.freeze({ statusCode: ok ? 200 : 503, contentType: 'application/json', body });
}
