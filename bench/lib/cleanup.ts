type Undo = () => void | Promise<void>;

/** What the benchmark started, undone in reverse order: at the end, after an error, and on SIGINT or SIGTERM. */
export class Cleanup {
  readonly #undos: Undo[] = [];
  #running: Promise<void> | undefined;
  #interrupted = false;

  constructor() {
    for (const [name, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      process.once(name, () => {
        this.#interrupted = true;
        void this.run().finally(() => process.exit(code));
      });
    }
  }

  /** True once a signal asked to stop: what the measurement then throws is not news. */
  get interrupted(): boolean {
    return this.#interrupted;
  }

  add(undo: Undo): void {
    this.#undos.push(undo);
  }

  run(): Promise<void> {
    this.#running ??= this.#undoAll();
    return this.#running;
  }

  async #undoAll(): Promise<void> {
    for (let undo = this.#undos.pop(); undo !== undefined; undo = this.#undos.pop()) {
      // One that fails must not leave the others' processes and segments behind.
      try {
        await undo();
      } catch (error) {
        console.error('clean-up:', error instanceof Error ? error.message : error);
      }
    }
  }
}
