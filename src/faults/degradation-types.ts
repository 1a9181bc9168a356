/**
 * One thing that is done under pressure, and how it is taken back. Both are called synchronously and must be quick:
 * memory is short.
 */
export interface DegradationAction {
  /** Unique in its level: 'shrink internal bus'. */
  readonly name: string;
  /** Changes something. One that throws must have changed nothing: it is not undone. Never called twice without undo. */
  apply(): void;
  /** Puts back exactly what was. Called again, after a while, when it throws. */
  undo(): void;
}

export interface DegradationLevel {
  /** Unique: 'shed'. */
  readonly name: string;
  /** Applied in this order, undone in the reverse. */
  readonly actions: readonly DegradationAction[];
}

export interface DegradationSnapshot {
  /** 0: nothing is degraded; n: the first n levels are in force. */
  readonly level: number;
  /** Its name, '' at 0. */
  readonly name: string;
  /** Asked for by hand, and by update(). The higher one is in force; the second only where `automatic` is on. */
  readonly byHand: number;
  readonly byPressure: number;
  /** At this level since, milliseconds. */
  readonly levelAgeMs: number;
  /** 'level: action' of what is in force now. */
  readonly applied: readonly string[];
  /** Of those: their undo threw, and is tried again. */
  readonly stuck: readonly string[];
  readonly activations: number;
  readonly clearances: number;
  /** Applies and undos that threw. */
  readonly failures: number;
}
