// Sets a timer of its own, as deadlines.ts does, in place of the native thread.
import { clearInterval, setInterval } from 'node:timers';
import type { NativeParticipant, NativeStaleNotice } from '../contract.ts';

const JUDGE_MS = 20;

/** Judges the participants of a twin segment from the event loop that they are on: it sees only loops that are free. */
export class TwinStaleWatch {
  readonly #list: () => NativeParticipant[];
  readonly #onNews: () => void;
  readonly #open = new Map<string, NativeParticipant>();
  #notices: NativeStaleNotice[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(list: () => NativeParticipant[], onNews: () => void) {
    this.#list = list;
    this.#onNews = onNews;
  }

  /** Switched on again it begins anew, as the native one does. */
  judge(on: boolean): void {
    const begins = on && this.#timer === undefined;
    clearInterval(this.#timer);
    this.#timer = on ? setInterval(() => this.#scan(), JUDGE_MS) : undefined;
    this.#timer?.unref();
    if (!begins) return;
    this.#open.clear();
    this.#notices = [];
    this.#scan();
  }

  take(): NativeStaleNotice[] {
    const taken = this.#notices;
    this.#notices = [];
    return taken;
  }

  #scan(): void {
    let news = false;
    const members = new Map(this.#list().map((member) => [`${member.slot}/${member.name}`, member]));
    for (const [key, open] of this.#open) {
      const member = members.get(key);
      if (member !== undefined && member.staleForMs > 0) continue;
      this.#open.delete(key);
      this.#notices.push({
        change: member === undefined ? 'gone' : 'recovered',
        member: member ?? open,
      });
      news = true;
    }
    for (const [key, member] of members) {
      if (member.staleForMs === 0 || this.#open.has(key)) continue;
      this.#open.set(key, member);
      this.#dropUntakenEpisode(member.slot);
      this.#notices.push({ change: 'stale', member });
      news = true;
    }
    if (news) this.#onNews();
  }

  /** As the native one: a silence that began and ended while nobody took anything makes room for the next. */
  #dropUntakenEpisode(slot: number): void {
    const of = this.#notices.filter(({ member }) => member.slot === slot);
    const [begin, end] = of.slice(-2);
    if (begin?.change === 'stale')
      this.#notices = this.#notices.filter((one) => one !== begin && one !== end);
  }
}
