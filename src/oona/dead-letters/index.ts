/** Dead letters: their format, what can be done with them, and who looks after them. */
export {
  type AuditReport,
  createDeadLetterAuditor,
  type DeadLetterAuditor,
  type DeadLetterAuditorOptions,
} from './auditor.ts';
export type { LetterCounts } from './counts.ts';
export { createDeadLetters } from './dead-letters.ts';
export {
  DEAD_LETTER_FIELDS,
  type DeadLetter,
  type DeadLetterInput,
  deadLetterFields,
  parseDeadLetter,
} from './letter.ts';
export { REPLAY_ATTRIBUTES } from './replay.ts';
export type * from './types.ts';
