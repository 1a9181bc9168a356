import { z } from 'zod';
import type { WeatherlightEvent } from '../../src/weatherlight/events.ts';

/**
 * What the demo's processes tell it: one JSON object a line on stdout, `type` says which. `monotonicMs` is
 * CLOCK_MONOTONIC in milliseconds, so the times of different processes of this machine compare.
 */
const monotonicMs = z.number().min(0);
const step = z.int().min(0);
/** JSON has no number for NaN and Infinity, and an exploded loss may be either. */
const loss = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity']).transform(Number)]);

const trainerEvent = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('trainerReady'),
    pid: z.int(),
    backend: z.string(),
    parameters: z.int(),
    trainDigits: z.int(),
    heldOutDigits: z.int(),
    signalKind: z.enum(['shared', 'process-local']),
    monotonicMs,
  }),
  z.object({
    type: z.literal('progress'),
    step,
    loss,
    learningRate: z.number(),
    accuracy: z.number(),
    monotonicMs,
  }),
  z.object({ type: z.literal('fault'), step, loss, from: z.number(), to: z.number(), monotonicMs }),
  /** The guard found the training ill and has raised the flag; nothing is restored yet. */
  z.object({
    type: z.literal('anomaly'),
    step,
    level: z.int(),
    kind: z.string(),
    /** What is out of bounds: 'loss', 'gradNorm' or 'gap'. */
    of: z.string(),
    value: loss,
    baseline: z.number().optional(),
    signalId: z.string(),
    /** When the flag was raised. */
    monotonicMs,
  }),
  z.object({
    type: z.literal('rolledBack'),
    step,
    /** The loss that made the guard roll back. */
    loss,
    toStep: step,
    /** SHA-256 of the weights when the snapshot was taken, and of what the network held after the restore. */
    snapshotHash: z.string(),
    restoredHash: z.string(),
    learningRate: z.number(),
    /** Time that copying the snapshot back took. */
    restoreMs: z.number(),
    monotonicMs,
  }),
  z.object({
    type: z.literal('flagRaised'),
    level: z.int(),
    signalId: z.string(),
    origin: z.string(),
    reason: z.string(),
    step,
    /** Came over the bus from another host. */
    remote: z.boolean(),
    /** When `trigger` was entered, in whichever process raised it. */
    monotonicMs,
  }),
  z.object({
    type: z.literal('flagCleared'),
    clearedSignalId: z.string(),
    reason: z.string(),
    remote: z.boolean(),
    monotonicMs,
  }),
  z.object({ type: z.literal('target'), step, accuracy: z.number(), monotonicMs }),
  z.object({ type: z.literal('halted'), step, signalId: z.string(), acknowledged: z.boolean(), monotonicMs }),
  z.object({ type: z.literal('finished'), step, testAccuracy: z.number(), rollbacks: z.int(), monotonicMs }),
  z.object({ type: z.literal('failed'), message: z.string(), monotonicMs }),
]);

const operatorEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('operatorRaised'), pid: z.int(), signalId: z.string(), monotonicMs }),
  z.object({ type: z.literal('failed'), message: z.string(), monotonicMs }),
]);

/** What every event of `esper-weatherlight-service --json-events` has; the rest is the service's own contract. */
const weatherlightEvent = z.looseObject({ type: z.string(), monotonicMs });

export type TrainerEvent = z.infer<typeof trainerEvent>;
export type OperatorEvent = z.infer<typeof operatorEvent>;
export type DemoEvent = TrainerEvent | OperatorEvent | WeatherlightEvent;
export type EventOf<Type extends DemoEvent['type']> = Extract<DemoEvent, { type: Type }>;

export const readTrainerEvent = (line: string): TrainerEvent => trainerEvent.parse(JSON.parse(line));
export const readOperatorEvent = (line: string): OperatorEvent => operatorEvent.parse(JSON.parse(line));
export const readWeatherlightEvent = (line: string): WeatherlightEvent =>
  weatherlightEvent.parse(JSON.parse(line)) as unknown as WeatherlightEvent;

/** Writes one event; the other end is a pipe to the demo. */
export function tell(event: TrainerEvent | OperatorEvent): void {
  const finite = (_key: string, value: unknown): unknown =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
  process.stdout.write(`${JSON.stringify(event, finite)}\n`);
}
