/** The error bus and EventEmitter under the same reports and as many listeners. */
import { EventEmitter } from 'node:events';
import { silentLogger } from '../../src/core/logger.ts';
import { ErrorBus, type ErrorReport } from '../../src/faults/index.ts';
import { sink } from './faults-rounds.ts';
import type { Ledger } from './oona-ledger.ts';

export interface Listeners {
  readonly healthy: number;
  /** Called once, and never ends. */
  readonly stuck?: true;
}

export interface Reporter {
  /** Hands over `count` reports, in turn. */
  emit(count: number): void;
  /** When every healthy listener was told of all of them. */
  told(): Promise<void>;
  /** Compares what was handed over with what was counted and told. */
  close(what: string, ledger: Ledger): Promise<void>;
}

/** Resolves when as many were told as were handed over. */
class Told {
  count = 0;
  #expected = 0;
  #resolve: (() => void) | undefined;

  note(count: number): void {
    this.count += count;
    if (this.count === this.#expected) this.#resolve?.();
  }

  until(expected: number): Promise<void> {
    this.#expected = expected;
    if (this.count === expected) return Promise.resolve();
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }
}

export function busReporter(reports: readonly ErrorReport[], listeners: Listeners): Reporter {
  const bus = new ErrorBus({ logger: silentLogger }, { drainTimeoutMs: 0 });
  const told = new Told();
  for (let at = 0; at < listeners.healthy; at++) {
    bus.listen({
      name: `healthy-${at}`,
      handle: ({ message, count }) => {
        sink.value += message.length;
        told.note(count);
      },
    });
  }
  if (listeners.stuck) bus.listen({ name: 'stuck', handle: () => new Promise(() => undefined) });
  let [next, emitted] = [0, 0];
  return {
    emit: (count) => {
      let at = next;
      for (let i = 0; i < count; i++) {
        bus.emit(reports[at] as ErrorReport);
        at = at + 1 === reports.length ? 0 : at + 1;
      }
      next = at;
      emitted += count;
    },
    told: () => told.until(emitted * listeners.healthy),
    close: async (what, ledger) => {
      const { snapshot } = await bus.close();
      const total = (counts: readonly number[]) => counts.reduce((sum, count) => sum + count, 0);
      ledger.check(`${what}: counted by severity`, emitted, total(snapshot.bySeverity));
      ledger.check(`${what}: counted by record`, emitted, total(snapshot.records.map(({ count }) => count)));
      ledger.check(`${what}: told`, emitted * listeners.healthy, told.count);
      for (const { name, suppressed, dropped, queued, delivered } of snapshot.listeners) {
        ledger.check(`${what}: accounts of ${name}`, emitted, suppressed + dropped + queued + delivered);
      }
    },
  };
}

export function emitterReporter(reports: readonly ErrorReport[], listeners: Listeners): Reporter {
  const emitter = new EventEmitter();
  const told = new Told();
  for (let at = 0; at < listeners.healthy; at++) {
    emitter.on('problem', ({ message }: ErrorReport) => {
      sink.value += message.length;
      told.note(1);
    });
  }
  // Returns nothing: once any listener of a process returns a promise, V8 no longer inlines EventEmitter.emit anywhere in
  // it, which takes twice as long then and would flatter us.
  if (listeners.stuck) emitter.on('problem', () => void new Promise(() => undefined));
  let [next, emitted] = [0, 0];
  return {
    emit: (count) => {
      let [at, heard] = [next, 0];
      for (let i = 0; i < count; i++) {
        if (emitter.emit('problem', reports[at])) heard += 1;
        at = at + 1 === reports.length ? 0 : at + 1;
      }
      next = at;
      sink.value += heard;
      emitted += count;
    },
    told: () => told.until(emitted * listeners.healthy),
    close: async (what, ledger) => {
      ledger.check(`${what}: told`, emitted * listeners.healthy, told.count);
    },
  };
}
