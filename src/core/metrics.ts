/**
 * Counters and gauges under the exact names that telemetry carries (`weatherlight.emergency.detections_total`).
 * In-memory only: telemetry packets and exporters read `snapshot()`.
 */
export class Metrics {
  readonly #counters = new Map<string, number>();
  readonly #gauges = new Map<string, number>();

  /** Adds to a counter; `by` must not be negative. */
  increment(name: string, by = 1): void {
    this.#counters.set(name, (this.#counters.get(name) ?? 0) + by);
  }

  setGauge(name: string, value: number): void {
    this.#gauges.set(name, value);
  }

  /** Value of a counter or gauge; 0 when it was never touched. */
  value(name: string): number {
    return this.#counters.get(name) ?? this.#gauges.get(name) ?? 0;
  }

  snapshot(): { counters: Record<string, number>; gauges: Record<string, number> } {
    return { counters: Object.fromEntries(this.#counters), gauges: Object.fromEntries(this.#gauges) };
  }
}
