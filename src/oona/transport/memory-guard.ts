import type { GuardedEvent, HandledRequest, Reservation, ReserveRequest } from './guard.ts';

interface Guard {
  readonly entryId: string;
  readonly handled: boolean;
  readonly expiresAtMs: number;
}

/** The replay guards of the memory engine's groups. Times are monotonic milliseconds. */
export class MemoryGuards {
  readonly #guards = new Map<string, Guard>();

  /** `isPending` tells of an entry of the group. */
  reserve(
    { stream, group, windowMs, events }: ReserveRequest,
    isPending: (entryId: string) => boolean,
    nowMs: number,
  ): Reservation[] {
    this.#forget(nowMs);
    return events.map((event) => {
      const name = nameOf(stream, group, event);
      const { entryId } = event;
      const found = this.#guards.get(name);
      if (found !== undefined && found.expiresAtMs > nowMs) {
        if (found.handled) return found.entryId === entryId ? 'redelivery' : 'replay';
        if (found.entryId === entryId) return 'new';
        if (isPending(found.entryId)) return 'busy';
      }
      this.#set(name, { entryId, handled: false, expiresAtMs: nowMs + windowMs });
      return 'new';
    });
  }

  handled({ stream, group, windowMs, events }: HandledRequest, nowMs: number): void {
    this.#forget(nowMs);
    for (const event of events) {
      const guard = { entryId: event.entryId, handled: true, expiresAtMs: nowMs + windowMs };
      this.#set(nameOf(stream, group, event), guard);
    }
  }

  /** In order of expiry, where all windows are the same; else some stay longer, and are looked at before they count. */
  #set(name: string, guard: Guard): void {
    this.#guards.delete(name);
    this.#guards.set(name, guard);
  }

  #forget(nowMs: number): void {
    for (const [name, { expiresAtMs }] of this.#guards) {
      if (expiresAtMs > nowMs) break;
      this.#guards.delete(name);
    }
  }
}

/** Names of groups have no slash. */
function nameOf(stream: string, group: string, { key }: GuardedEvent): string {
  return `${stream}\n${group}/${key}`;
}
