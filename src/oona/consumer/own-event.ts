import type { ConsumerContext } from './context.ts';
import type { GuardVerdict, ReplayGuard } from './replay-guard.ts';
import type { Retrier } from './retrier.ts';
import type { Settler } from './settler.ts';
import type { Work } from './work.ts';

export interface DecisionParts {
  readonly settler: Settler;
  readonly retrier: Retrier;
}

export interface ClaimParts extends DecisionParts {
  readonly context: ConsumerContext;
  readonly guard: ReplayGuard;
}

/** Whether its event may be handled under this entry id now; where not, what becomes of the entry is decided here. */
export function isOurs(work: Work, nowMs: number, parts: ClaimParts): boolean {
  if (work.guardKey === undefined) return true;
  const { context, guard } = parts;
  const verdict = guard.begin(work.guardKey, work.id, nowMs);
  if (verdict === 'full') {
    const text = `replay guard holds ${guard.size} keys (replayCapacity): entries wait for older keys to expire`;
    context.trouble('ESPER_OONA_REPLAY_GUARD_FULL', text);
  }
  return decide(work, verdict, parts);
}

/** What a guard's verdict does with an entry. True: it may be handled. */
export function decide(work: Work, verdict: GuardVerdict, { settler, retrier }: DecisionParts): boolean {
  if (verdict === 'new') return true;
  if (verdict === 'redelivery') {
    settler.acknowledge(work, 'redelivered');
  } else if (verdict === 'replay') {
    const error = `event ${work.eventId} was handled already, under another entry id`;
    settler.deadLetter(work, { code: 'ESPER_OONA_REPLAYED', error });
  } else {
    // A second copy that waits beyond its age would outwait what the guard remembers of the first.
    if (verdict === 'busy') work.accepted = false;
    retrier.waitHere(work);
  }
  return false;
}
