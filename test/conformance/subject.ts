import { randomBytes } from 'node:crypto';
import type { NativeFlag, NativeModule, SegmentKind } from '../../src/native/contract.ts';
import { loadNative } from '../../src/native/load.ts';
import {
  type EmergencySignal,
  type LatencyHistogram,
  type OpenHistogramOptions,
  type OpenSignalOptions,
  openEmergencySignal,
  openLatencyHistogram,
  openRollbackSignal,
  type RollbackSignal,
} from '../../src/signals/index.ts';

/** What a conformance suite runs over: a native module and the kind of memory it is asked for. */
export interface Subject {
  /** First word of the suite's title. */
  readonly title: string;
  readonly kind: 'shared' | 'process-local';
  readonly load: () => NativeModule;
}

/** The addon; a missing one is a failure, never a skip. */
export function requireAddon(): NativeModule {
  const { module, source, error } = loadNative();
  if (source === 'twin')
    throw new Error(`the native addon is needed, run: npm run build:native (${error?.message})`);
  return module;
}

interface Closable {
  close(): void;
}

/** Opens things under names of their own and takes all of them away again. */
export class Bench {
  readonly #subject: Subject;
  readonly #opened: Closable[] = [];
  readonly #names = new Set<string>();

  constructor(subject: Subject) {
    this.#subject = subject;
  }

  get kind(): 'shared' | 'process-local' {
    return this.#subject.kind;
  }

  get module(): NativeModule {
    return this.#subject.load();
  }

  name(): string {
    const name = `test.${process.pid}.${randomBytes(6).toString('hex')}`;
    this.#names.add(name);
    return name;
  }

  signal(name = this.name(), options: OpenSignalOptions = {}): EmergencySignal {
    return this.#keep(
      openEmergencySignal(name, { kind: this.kind, native: this.module, keepAlive: false, ...options }),
    );
  }

  rollback(name = this.name()): RollbackSignal {
    return this.#keep(openRollbackSignal(name, { kind: this.kind, native: this.module, keepAlive: false }));
  }

  histogram(name = this.name(), options: OpenHistogramOptions = {}): LatencyHistogram {
    return this.#keep(openLatencyHistogram(name, { kind: this.kind, native: this.module, ...options }));
  }

  flag(name = this.name(), segment: SegmentKind = 'emergency'): NativeFlag {
    const options = { segment, name, kind: this.kind, attachTimeoutMs: 1000, allowGroup: false };
    return this.#keep(this.module.openFlag(options));
  }

  cleanUp(): void {
    for (const opened of this.#opened.splice(0)) opened.close();
    for (const name of this.#names) this.module.unlink(name);
    this.#names.clear();
  }

  #keep<T extends Closable>(opened: T): T {
    this.#opened.push(opened);
    return opened;
  }
}
