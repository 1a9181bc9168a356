import type { ConsumerContext } from './context.ts';
import type { ReplayGuard } from './replay-guard.ts';
import type { Retrier } from './retrier.ts';
import type { Settler } from './settler.ts';
import type { Work } from './work.ts';

export interface ClaimParts {
  readonly context: ConsumerContext;
  readonly guard: ReplayGuard;
  readonly settler: Settler;
  readonly retrier: Retrier;
}

/** Whether its event may be handled under this entry id now; where not, what becomes of the entry is decided here. */
export function isOurs(work: Work, nowMs: number, { context, guard, settler, retrier }: ClaimParts): boolean {
  if (work.guardKey === undefined) return true;
  const verdict = guard.begin(work.guardKey, work.id, nowMs);
  if (verdict === 'new') return true;
  if (verdict === 'redelivery') {
    settler.acknowledge(work, 'redelivered');
  } else if (verdict === 'replay') {
    const error = `event ${work.eventId} was handled already, under another entry id`;
    settler.deadLetter(work, { code: 'ESPER_OONA_REPLAYED', error });
  } else {
    if (verdict === 'full') {
      const text = `replay guard holds ${guard.size} keys (replayCapacity): entries wait for older keys to expire`;
      context.trouble('ESPER_OONA_REPLAY_GUARD_FULL', text);
    }
    retrier.waitHere(work);
  }
  return false;
}
