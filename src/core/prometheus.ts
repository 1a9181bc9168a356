import type { Registry } from 'prom-client';
import type { Metrics } from './metrics.ts';

export interface PrometheusText {
  /** For the header `content-type`. */
  readonly contentType: string;
  readonly text: string;
}

/** `weatherlight.emergency.detections_total` → `weatherlight_emergency_detections_total`. */
export function prometheusName(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9_:]/g, '_');
  return /^[0-9]/.test(plain) ? `_${plain}` : plain;
}

/** Throws when two of ours are one name there: which of them is meant nobody could say. */
const config = (register: Registry, help: string) => ({
  name: prometheusName(help),
  help,
  registers: [register],
});

/** Every counter and gauge in Prometheus's text format, as `GET /metrics` answers it. Rejects when two names become one. */
export async function prometheusText(metrics: Metrics): Promise<PrometheusText> {
  // Loaded by those who serve it only: it takes longer to load than all of the signal path.
  const { default: client } = await import('prom-client');
  const register = new client.Registry();
  const { counters, gauges } = metrics.snapshot();
  for (const [name, value] of Object.entries(counters)) {
    new client.Counter(config(register, name)).inc(value);
  }
  for (const [name, value] of Object.entries(gauges)) new client.Gauge(config(register, name)).set(value);
  return { contentType: register.contentType, text: await register.metrics() };
}
