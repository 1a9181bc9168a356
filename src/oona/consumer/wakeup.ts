/** Lets a loop sleep until somebody says that something changed. */
export class Wakeup {
  #waiting: (() => void) | undefined;

  /** One loop waits at a time. */
  wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  wake(): void {
    const resolve = this.#waiting;
    if (resolve === undefined) return;
    this.#waiting = undefined;
    resolve();
  }
}
