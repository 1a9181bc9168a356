/** One record per distinct error, however often it happens: counts are kept even while nobody listens. */
import type { ErrorSeverity } from '../leyline/messages.ts';
import { cutText } from './context-text.ts';
import type { ErrorReport } from './error-event.ts';
import type { WaitingError } from './waiting-error.ts';

/** Longer names are cut: they would not be names. */
const MAX_NAME_LENGTH = 128;

export interface ErrorRecord {
  readonly code: string;
  readonly component: string;
  /** Stands for every distinct error that had no room for a record of its own. */
  readonly isOther: boolean;
  count: number;
  /** How many events were made of it: the others were counted only. */
  told: number;
  /** Of the last one. */
  severity: ErrorSeverity;
  readonly firstAtMs: number;
  lastAtMs: number;
  /** What waits of it at each listener, by `waitingIndex`. */
  readonly waiting: (WaitingError | undefined)[];
}

/** Of slots for what was met lately; each has room for two, as two errors of a program share one now and then. */
const CACHE_SIZE = 1024;

export class ErrorRecords {
  readonly #max: number;
  readonly #byComponent = new Map<string, Map<string, ErrorRecord>>();
  readonly #newer: (ErrorRecord | undefined)[] = Array.from({ length: CACHE_SIZE });
  readonly #older: (ErrorRecord | undefined)[] = Array.from({ length: CACHE_SIZE });
  readonly #nowMs: () => number;
  #size = 0;
  #other: ErrorRecord | undefined;

  constructor(max: number, nowMs: () => number) {
    this.#max = max;
    this.#nowMs = nowMs;
  }

  get size(): number {
    return this.#size;
  }

  /** May throw what a hostile report throws. */
  of(report: ErrorReport): ErrorRecord {
    const { code, component } = report;
    // Two look-ups in maps take longer than counting and a listener's queue together. This finds what was met lately by
    // lengths and a few letters, which differ among the names of one program; a name too short for it has slot 0.
    const last = component.length - 1;
    const slot =
      (code.length * 5 +
        code.charCodeAt(0) * 3 +
        last * 17 +
        component.charCodeAt(last) +
        component.charCodeAt(last - 1) * 11 +
        component.charCodeAt(last - 2) * 113) &
      (CACHE_SIZE - 1);
    const newer = this.#newer[slot];
    if (newer !== undefined && newer.component === component && newer.code === code) return newer;
    const older = this.#older[slot];
    if (older !== undefined && older.component === component && older.code === code) return older;
    const found = this.#find(String(code), String(component));
    if (found.isOther) return found;
    this.#older[slot] = newer;
    this.#newer[slot] = found;
    return found;
  }

  *[Symbol.iterator](): IterableIterator<ErrorRecord> {
    for (const codes of this.#byComponent.values()) yield* codes.values();
    if (this.#other !== undefined) yield this.#other;
  }

  #find(givenCode: string, givenComponent: string): ErrorRecord {
    const component = recordName(givenComponent);
    const code = recordName(givenCode);
    const codes = this.#byComponent.get(component);
    const record = codes?.get(code);
    if (record !== undefined) return record;
    if (this.#size >= this.#max) {
      this.#other ??= createRecord('OTHER', 'other', this.#nowMs(), true);
      return this.#other;
    }
    this.#size += 1;
    const created = createRecord(code, component, this.#nowMs(), false);
    if (codes === undefined) this.#byComponent.set(component, new Map([[code, created]]));
    else codes.set(code, created);
    return created;
  }
}

/** As records and events have it. */
export function recordName(name: string): string {
  return name.length <= MAX_NAME_LENGTH ? name : cutText(name, MAX_NAME_LENGTH);
}

function createRecord(code: string, component: string, atMs: number, isOther: boolean): ErrorRecord {
  return {
    code,
    component,
    isOther,
    count: 0,
    told: 0,
    severity: 0,
    firstAtMs: atMs,
    lastAtMs: atMs,
    waiting: [],
  };
}
