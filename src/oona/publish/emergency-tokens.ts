import type { Clock } from '../../core/clock.ts';
import { requireRange } from '../../core/options.ts';
import { EmergencyLevel } from '../../leyline/messages.ts';

const MINUTE_MS = 60_000;
/** Sixty refills of a sixtieth add up to a little less than one in floating point. */
const ROUNDING = 1e-9;
/** Longer names count by their beginning: rows are kept in memory. */
const SOURCE_LENGTH = 128;

export interface EmergencyTokensOptions {
  /** Repeats of a level per minute, 0-1000000; the bucket holds as many. TOLARIA_EMERGENCY_BYPASS_MAX_PER_MIN. */
  readonly maxPerMin: number;
  /** Sources told apart, 1-100000. More share one row, so that a flood of names neither fills memory nor opens the bucket. Default 256. */
  readonly maxSources?: number;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

/** What is needed of an emergency to decide. */
export interface EmergencyClaim {
  readonly source: string;
  readonly level: EmergencyLevel;
  /** Takes an earlier one back: always passes, and the source's next raise is a raise again. */
  readonly isClear?: boolean;
}

/** Proof of admission. */
export interface EmergencyPass {
  readonly source: string;
  readonly level: EmergencyLevel;
  /** 'free': a raise, a HALT, a clear. 'token': a repeat, which took one. */
  readonly kind: 'free' | 'token';
  /** This pass made the level known, so that the next one like it is a repeat. */
  readonly isFirst: boolean;
}

export interface SourceCounts {
  readonly free: number;
  readonly tokens: number;
  readonly limited: number;
}

interface Row {
  /** Bit n: level n went out and was not cleared since. */
  levels: number;
  free: number;
  tokens: number;
  limited: number;
  usedAtMs: number;
}

const bitOf = (level: EmergencyLevel): number => 1 << (level & 31);

/** Row of the sources for which there was no room. */
export const OTHER_SOURCES = '(other)';

/**
 * How many repeated emergencies may take the fast path. A level that a source has not up yet, every HALT and every
 * clear always pass and take nothing; only repeats of a level that is up already take a token. Times come from the
 * monotonic clock, so a step of the wall clock neither opens nor shuts the bucket.
 */
export class EmergencyTokens {
  readonly #maxPerMin: number;
  readonly #maxSources: number;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  /** Least recently used first. */
  readonly #rows = new Map<string, Row>();
  #tokens: number;
  #filledAtMs: number;

  /** Throws OptionError. */
  constructor({ maxPerMin, maxSources = 256, clock }: EmergencyTokensOptions) {
    this.#maxPerMin = requireRange('emergency tokens', 'maxPerMin', maxPerMin, 0, 1_000_000);
    this.#maxSources = requireRange('emergency tokens', 'maxSources', maxSources, 1, 100_000);
    this.#clock = clock;
    this.#tokens = maxPerMin;
    this.#filledAtMs = clock.monotonicMs();
  }

  /** A pass, or undefined: a repeat with no token left. */
  take(claim: EmergencyClaim): EmergencyPass | undefined {
    const nowMs = this.#clock.monotonicMs();
    const { level } = claim;
    const [source, row] = this.#row(claim.source.slice(0, SOURCE_LENGTH), nowMs);
    if (claim.isClear === true) {
      row.levels = 0;
      row.free += 1;
      return { source, level, kind: 'free', isFirst: false };
    }
    const bit = bitOf(level);
    const isFirst = (row.levels & bit) === 0;
    if (isFirst || level === EmergencyLevel.EMERGENCY_LEVEL_HALT) {
      row.levels |= bit;
      row.free += 1;
      return { source, level, kind: 'free', isFirst };
    }
    if (!this.#takeToken(nowMs)) {
      row.limited += 1;
      return undefined;
    }
    row.tokens += 1;
    return { source, level, kind: 'token', isFirst: false };
  }

  /** One token for a message that is urgent and no emergency: it has no level, so it always needs one. */
  takeForUrgent(source: string): EmergencyPass | undefined {
    const nowMs = this.#clock.monotonicMs();
    const [name, row] = this.#row(source.slice(0, SOURCE_LENGTH), nowMs);
    if (this.#takeToken(nowMs)) row.tokens += 1;
    else {
      row.limited += 1;
      return undefined;
    }
    const level = EmergencyLevel.EMERGENCY_LEVEL_UNSPECIFIED;
    return { source: name, level, kind: 'token', isFirst: false };
  }

  /** The publish failed: its token is there for the next one, and a raise is still to be told. */
  giveBack(pass: EmergencyPass): void {
    const row = this.#rows.get(pass.source);
    if (row !== undefined) {
      if (pass.isFirst) row.levels &= ~bitOf(pass.level);
      if (pass.kind === 'token') row.tokens -= 1;
      else row.free -= 1;
    }
    if (pass.kind === 'free') return;
    this.#refill(this.#clock.monotonicMs());
    this.#tokens = Math.min(this.#maxPerMin, this.#tokens + 1);
  }

  /** Whole tokens left right now. */
  available(): number {
    this.#refill(this.#clock.monotonicMs());
    return Math.floor(this.#tokens + ROUNDING);
  }

  /** By source; at most `maxSources` and OTHER_SOURCES. */
  counts(): ReadonlyMap<string, SourceCounts> {
    const rows = [...this.#rows].map(([source, row]): [string, SourceCounts] => {
      const { free, tokens, limited } = row;
      return [source, Object.freeze({ free, tokens, limited })];
    });
    return new Map(rows);
  }

  #row(source: string, nowMs: number): [string, Row] {
    const known = this.#rows.get(source);
    if (known !== undefined) {
      known.usedAtMs = nowMs;
      this.#rows.delete(source);
      this.#rows.set(source, known);
      return [source, known];
    }
    if (source !== OTHER_SOURCES && !this.#makeRoom(nowMs)) return this.#row(OTHER_SOURCES, nowMs);
    const row: Row = { levels: 0, free: 0, tokens: 0, limited: 0, usedAtMs: nowMs };
    this.#rows.set(source, row);
    return [source, row];
  }

  /** Whoever was silent for a minute may go. One who is not stays: forgetting its level would let a repeat pass as a raise. */
  #makeRoom(nowMs: number): boolean {
    const size = this.#rows.size - (this.#rows.has(OTHER_SOURCES) ? 1 : 0);
    if (size < this.#maxSources) return true;
    for (const [source, { usedAtMs }] of this.#rows) {
      if (source === OTHER_SOURCES) continue;
      if (nowMs - usedAtMs < MINUTE_MS) return false;
      this.#rows.delete(source);
      return true;
    }
    return false;
  }

  #takeToken(nowMs: number): boolean {
    this.#refill(nowMs);
    if (this.#tokens < 1 - ROUNDING) return false;
    this.#tokens = Math.max(0, this.#tokens - 1);
    return true;
  }

  #refill(nowMs: number): void {
    const gained = ((nowMs - this.#filledAtMs) * this.#maxPerMin) / MINUTE_MS;
    this.#tokens = Math.min(this.#maxPerMin, this.#tokens + gained);
    this.#filledAtMs = nowMs;
  }
}
