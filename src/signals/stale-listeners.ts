import { setImmediate } from 'node:timers';
import type { NativeFlag, NativeParticipant, NativeStaleNotice } from '../native/contract.ts';
import type { WatchHub } from './watch.ts';

type Listener = (notice: NativeStaleNotice) => void;

/** Hands what the native thread says about silent participants to any number of listeners of one flag object. */
export class StaleListeners {
  readonly #hub: WatchHub;
  readonly #flag: () => NativeFlag;
  readonly #onError: (error: unknown) => void;
  /** With the participants each has been told of as stale. */
  readonly #listeners = new Map<Listener, Map<string, NativeParticipant>>();
  #stop: (() => void) | undefined;

  constructor(hub: WatchHub, flag: () => NativeFlag, onError: (error: unknown) => void) {
    this.#hub = hub;
    this.#flag = flag;
    this.#onError = onError;
  }

  subscribe(listener: Listener): () => void {
    // An own function each time: the same listener may be given twice.
    const own: Listener = (notice) => listener(notice);
    if (this.#stop === undefined) this.#start();
    this.#listeners.set(own, new Map());
    // Silences that began before it came are told to nobody any more.
    setImmediate(() => this.#catchUp(own));
    return () => {
      this.#listeners.delete(own);
      if (this.#listeners.size > 0) return;
      this.#stop?.();
    };
  }

  /** After the flag was changed for another one: whoever was silent in the old one is not there any more. */
  followed(): void {
    if (this.#stop === undefined) return;
    for (const [listener, told] of this.#listeners)
      for (const member of [...told.values()]) this.#tell(listener, { change: 'gone', member });
    this.#flag().judge(true);
  }

  #start(): void {
    const flag = this.#flag();
    const end = (): void => {
      this.#stop = undefined;
      this.#listeners.clear();
    };
    const remove = this.#hub.add({ cursor: undefined, wake: () => this.#drain(), end });
    flag.judge(true);
    this.#stop = () => {
      this.#stop = undefined;
      this.#flag().judge(false);
      remove();
    };
  }

  #drain(): void {
    for (const notice of this.#flag().takeStale())
      for (const listener of [...this.#listeners.keys()]) this.#tell(listener, notice);
  }

  #catchUp(listener: Listener): void {
    if (this.#stop === undefined || !this.#listeners.has(listener)) return;
    for (const member of this.#flag().participants())
      if (member.staleForMs > 0) this.#tell(listener, { change: 'stale', member });
  }

  /** Each listener hears of each silence once: it may have caught up with what is told to all now. */
  #tell(listener: Listener, notice: NativeStaleNotice): void {
    const told = this.#listeners.get(listener);
    if (told === undefined) return;
    const { slot, pid, startTimeTicks } = notice.member;
    const key = `${slot}/${pid}/${startTimeTicks}`;
    if (notice.change === 'stale' ? told.has(key) : !told.delete(key)) return;
    if (notice.change === 'stale') told.set(key, notice.member);
    try {
      listener(notice);
    } catch (error) {
      this.#onError(error);
    }
  }
}
