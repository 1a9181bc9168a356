import type { AdapterContext } from '../pipeline/adapter.ts';
import type { Context } from './context.ts';
import type { Detection } from './detection.ts';
import type { HaltOutcome } from './halt.ts';

/** What the supervisor's sources tell its sinks, over the buses of its engine. */
export type Notice =
  | { readonly kind: 'detection'; readonly detection: Detection }
  | { readonly kind: 'haltOutcome'; readonly outcome: HaltOutcome };

/** Where a source tells: its adapter's way onto the bus, from that one's first start on. */
export class NoticeOutlet {
  readonly #context: Pick<Context, 'reportError'>;
  #publish: AdapterContext<Notice>['publish'] | undefined;

  constructor(context: Pick<Context, 'reportError'>) {
    this.#context = context;
  }

  bind({ publish }: Pick<AdapterContext<Notice>, 'publish'>): void {
    this.#publish = publish;
  }

  /**
   * A microtask later, in the order of the calls: flag and halt come first, and the sinks are called before the event
   * loop goes on. Never throws, and waits for nobody: full queues drop their oldest.
   */
  tell(notice: Notice): void {
    queueMicrotask(() => {
      this.#publish?.(notice).catch((error: unknown) => this.#context.reportError('notice', error));
    });
  }
}
