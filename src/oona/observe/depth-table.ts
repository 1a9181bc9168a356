/** Depth of each stream as it was measured: plain doubles in one array, so that measuring is a few plain stores. */
import { ROLE_INDEX, STREAM_ROLES, type StreamRole } from './observers.ts';

/** Of one stream, in entries. */
export interface DepthView {
  /** As it was measured last, by a publish or by a look at the stream. */
  readonly now: number;
  readonly max: number;
  /** Of the last publish that measured; delta = after - before. 0 before the first. */
  readonly before: number;
  readonly after: number;
  readonly delta: number;
  /** Of all publishes that measured, and how many they were. */
  readonly deltaSum: number;
  readonly measured: number;
}

const KNOWN = 0;
const NOW = 1;
const MAX = 2;
const BEFORE = 3;
const AFTER = 4;
const DELTA_SUM = 5;
const MEASURED = 6;
const WIDTH = 8;

export class DepthTable {
  readonly #values = new Float64Array(STREAM_ROLES.length * WIDTH);

  /** A look at the stream. */
  look(role: StreamRole, depth: number): void {
    this.#set(ROLE_INDEX[role] * WIDTH, depth);
  }

  /** A publish that measured; `after` is absent when nothing was stored. */
  publish(role: StreamRole, before: number, after: number | undefined): void {
    const at = ROLE_INDEX[role] * WIDTH;
    const values = this.#values;
    const last = after ?? before;
    this.#set(at, before > last ? before : last);
    values[at + NOW] = last;
    values[at + BEFORE] = before;
    values[at + AFTER] = last;
    values[at + DELTA_SUM] = (values[at + DELTA_SUM] as number) + (last - before);
    values[at + MEASURED] = (values[at + MEASURED] as number) + 1;
  }

  /** undefined while nobody measured. */
  of(role: StreamRole): number | undefined {
    const at = ROLE_INDEX[role] * WIDTH;
    return this.#values[at + KNOWN] === 0 ? undefined : this.#values[at + NOW];
  }

  /** Streams that were measured. */
  views(): Readonly<Partial<Record<StreamRole, DepthView>>> {
    const views: Partial<Record<StreamRole, DepthView>> = {};
    for (const role of STREAM_ROLES) {
      if (this.of(role) === undefined) continue;
      const at = ROLE_INDEX[role] * WIDTH;
      const value = (column: number): number => this.#values[at + column] ?? 0;
      views[role] = Object.freeze({
        now: value(NOW),
        max: value(MAX),
        before: value(BEFORE),
        after: value(AFTER),
        delta: value(AFTER) - value(BEFORE),
        deltaSum: value(DELTA_SUM),
        measured: value(MEASURED),
      });
    }
    return Object.freeze(views);
  }

  #set(at: number, depth: number): void {
    const values = this.#values;
    values[at + KNOWN] = 1;
    values[at + NOW] = depth;
    if (depth > (values[at + MAX] as number)) values[at + MAX] = depth;
  }
}
