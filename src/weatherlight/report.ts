import { HealthStatus } from '../leyline/messages.ts';
import type { Measurement } from './packets.ts';
import type { WeatherlightSnapshot } from './snapshot.ts';

/** The supervisor's health in Leyline's terms, from what it measured itself. */
export function healthOf(snapshot: WeatherlightSnapshot): { status: HealthStatus; summary: string } {
  const problems: string[] = [];
  if (snapshot.signal.degraded !== undefined)
    problems.push(`flag is process-local (${snapshot.signal.degraded.code})`);
  if (snapshot.bus.state === 'away') problems.push('bus is away');
  if (snapshot.halt?.state === 'blind') problems.push('acknowledgements of a HALT cannot be seen');
  if (snapshot.halt?.state === 'late') problems.push('a HALT is not acknowledged');
  if (snapshot.staleTrainers.length > 0)
    problems.push(`silent trainers: ${snapshot.staleTrainers.join(', ')}`);
  for (const { part, error } of snapshot.troubles) problems.push(`${part} is down: ${error}`);
  const status =
    problems.length === 0 ? HealthStatus.HEALTH_STATUS_HEALTHY : HealthStatus.HEALTH_STATUS_DEGRADED;
  return { status, summary: problems.length === 0 ? 'supervising' : problems.join('; ') };
}

/** Counters and gauges under their exact names, and what only the snapshot knows. */
export function measurementsOf(
  snapshot: WeatherlightSnapshot,
  values: { readonly counters: Record<string, number>; readonly gauges: Record<string, number> },
): Measurement[] {
  const lastErrorMs = snapshot.lastErrors.at(-1)?.wallMs ?? 0;
  const own: Measurement[] = [
    { name: 'weatherlight.tasks.running', value: snapshot.tasks.length, unit: 'tasks' },
    { name: 'weatherlight.tasks.backing_off', value: snapshot.troubles.length, unit: 'tasks' },
    { name: 'weatherlight.last_error_ts', value: lastErrorMs / 1000, unit: 's' },
    { name: 'weatherlight.started_at', value: snapshot.startedAtMs / 1000, unit: 's' },
    { name: 'weatherlight.uptime_s', value: snapshot.uptimeS, unit: 's' },
    { name: 'weatherlight.emergency.level', value: snapshot.signal.level, unit: 'level' },
  ];
  for (const [path, latency] of Object.entries(snapshot.detections.latency)) {
    if (latency.count === 0) continue;
    const name = `weatherlight.emergency.detect_latency.${path.replace('-', '_')}`;
    own.push({ name: `${name}.p50_ms`, value: latency.p50Ms, unit: 'ms' });
    own.push({ name: `${name}.p99_ms`, value: latency.p99Ms, unit: 'ms' });
  }
  const counters = Object.entries(values.counters).map(([name, value]) => ({ name, value, unit: 'count' }));
  const gauges = Object.entries(values.gauges).map(([name, value]) => ({ name, value, unit: 'value' }));
  return [...own, ...counters, ...gauges];
}
