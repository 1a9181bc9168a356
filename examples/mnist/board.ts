import type { DemoEvent, EventOf } from './events.ts';

export interface Said<Event extends DemoEvent = DemoEvent> {
  /** Which process said it, as the demo's output calls it. */
  readonly who: string;
  readonly event: Event;
}

type Matches<Event> = (event: Event) => boolean;

/** Everything that the demo's processes said, in the order in which it arrived. */
export class Board {
  readonly #said: Said[] = [];
  readonly #checks = new Set<() => void>();
  readonly #listener: (said: Said) => void;
  #failure: Error | undefined;

  constructor(listener: (said: Said) => void) {
    this.#listener = listener;
  }

  add(said: Said): void {
    this.#said.push(said);
    this.#listener(said);
    for (const check of [...this.#checks]) check();
  }

  /** Ends every wait, now and later, with this error; the first failure is the one that counts. */
  fail(error: Error): void {
    this.#failure ??= error;
    for (const check of [...this.#checks]) check();
  }

  all<Type extends DemoEvent['type']>(type: Type, who: string): EventOf<Type>[] {
    return this.#said.flatMap((said) =>
      said.who === who && said.event.type === type ? [said.event as EventOf<Type>] : [],
    );
  }

  first<Type extends DemoEvent['type']>(
    type: Type,
    who: string,
    matches: Matches<EventOf<Type>> = () => true,
  ): EventOf<Type> | undefined {
    return this.all(type, who).find(matches);
  }

  /** The first such event, also one that was said before; rejects after `timeoutMs` or when the demo failed. */
  waitFor<Type extends DemoEvent['type']>(
    type: Type,
    who: string,
    timeoutMs: number,
    matches: Matches<EventOf<Type>> = () => true,
  ): Promise<EventOf<Type>> {
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void): void => {
        clearTimeout(timer);
        this.#checks.delete(check);
        finish();
      };
      const check = (): void => {
        const found = this.first(type, who, matches);
        if (found !== undefined) settle(() => resolve(found));
        else if (this.#failure !== undefined) settle(() => reject(this.#failure));
      };
      const timer = setTimeout(() => {
        settle(() => reject(new Error(`${who} did not report '${type}' within ${timeoutMs / 1000} s`)));
      }, timeoutMs);
      this.#checks.add(check);
      check();
    });
  }
}
