import { errorMessage } from '../../core/errors.ts';
import type { ConsumerContext } from './context.ts';
import type { HandledObservation } from './observer.ts';
import type { Work } from './work.ts';

/** Tells the observer, when there is one, how a handler ended. Never throws. */
export function observe(
  context: ConsumerContext,
  work: Work,
  outcome: HandledObservation['outcome'],
  nowMs: number,
  wallMs: number,
): void {
  const { observer } = context.parts;
  if (observer?.handled === undefined) return;
  const { stream } = context.options;
  const handlerMs = nowMs - work.startedAtMs;
  const endToEndMs = wallMs - (work.delivery?.issuedAtMs ?? 0);
  try {
    observer.handled({ stream, outcome, handlerMs, endToEndMs, deliveryCount: work.deliveryCount });
  } catch (error) {
    context.trouble('ESPER_OONA_UNEXPECTED', `observer threw: ${errorMessage(error)}`);
  }
}
