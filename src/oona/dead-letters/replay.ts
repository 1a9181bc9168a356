/** Brings the original of one dead letter back to its stream. */
import type { Clock } from '../../core/clock.ts';
import {
  ENVELOPE_ATTRIBUTES,
  type OpenedEnvelope,
  type SignedEntry,
  sealEnvelope,
} from '../../leyline/envelope.ts';
import { BusMessageType } from '../../leyline/messages.ts';
import type { StreamNames } from '../streams.ts';
import type { AppendResult, BusTransport, CallOptions } from '../transport/transport.ts';
import { failureOf, type OpenChecks, openLetter, refusalOf } from './content.ts';
import type { DeadLetter } from './letter.ts';
import type { Refusal, ReplayOptions, ReplayResult } from './types.ts';

/** Attributes that a replayed message has besides its own. */
export const REPLAY_ATTRIBUTES = Object.freeze({
  /** Id of the dead letter. */
  replayOf: 'replay_of',
  /** The group whose consumers gave the message up; those of other groups of the stream have had it. */
  replayGroup: 'replay_group',
});

/** Reason of a letter whose event had been handled under another entry id. */
export const REPLAYED = 'ESPER_OONA_REPLAYED';

const EMERGENCY = BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL;

export interface ReplayParts extends OpenChecks {
  readonly transport: BusTransport;
  readonly streams: StreamNames;
  readonly replayWindowMs: number;
  readonly clock: Clock;
}

export interface ReplayRules extends Pick<ReplayOptions, 'allowUnverified' | 'newEventId'> {
  /** True when an operator named this very letter. */
  readonly named: boolean;
}

/** What will be appended. */
interface Prepared {
  readonly entry: SignedEntry;
  readonly eventId: string;
  readonly asIs: boolean;
}

/** Never rejects. */
export async function replayLetter(
  letter: DeadLetter,
  rules: ReplayRules,
  parts: ReplayParts,
  call: CallOptions,
): Promise<ReplayResult> {
  const { letterId, originStream: stream } = letter;
  const prepared = prepare(letter, rules, parts);
  if ('code' in prepared) return { outcome: 'refused', letterId, ...prepared };
  const { entry, eventId, asIs } = prepared;
  let appended: AppendResult;
  try {
    appended = await append(letter, entry, parts, call);
  } catch (error) {
    return { outcome: 'failed', letterId, ...failureOf(error) };
  }
  const outcome = appended.outcome === 'duplicate' ? 'already-replayed' : 'replayed';
  const removed = await remove(letterId, parts, call);
  return { outcome, letterId, stream, entryId: appended.entryId, eventId, asIs, removed };
}

/** By the letter's id, not the event's: that one was stored under its own when it was first published. */
function append(
  letter: DeadLetter,
  entry: SignedEntry,
  parts: ReplayParts,
  call: CallOptions,
): Promise<AppendResult> {
  const { transport, streams, replayWindowMs } = parts;
  const dedupId = `replay:${streams.deadLetter}:${letter.letterId}`;
  const request = { stream: letter.originStream, ...entry, dedupId, dedupWindowMs: replayWindowMs, ttlMs: 0 };
  return transport.append(request, call);
}

/** A letter that stays is found again: its next replay is told as one already made. */
async function remove(
  letterId: string,
  { transport, streams }: ReplayParts,
  call: CallOptions,
): Promise<boolean> {
  try {
    await transport.remove(streams.deadLetter, [letterId], call);
    return true;
  } catch {
    return false;
  }
}

function prepare(letter: DeadLetter, rules: ReplayRules, parts: ReplayParts): Prepared | Refusal {
  const misplaced = refuseLetter(letter, parts);
  if (misplaced !== undefined) return misplaced;
  const result = openLetter(letter, parts);
  if ('refusal' in result) return unverified(letter, result.refusal, rules, parts);
  const refusal = refuseMessage(letter, result.opened, rules);
  if (refusal !== undefined) return refusal;
  try {
    return sealed(letter, result.opened, rules, parts);
  } catch (error) {
    return refusalOf(error);
  }
}

/** The letter's own fields are signed by nobody: they lead to streams of this bus, or nowhere. */
function refuseLetter(
  { damaged, originStream, error }: DeadLetter,
  { streams }: ReplayParts,
): Refusal | undefined {
  const needed = damaged.filter((name) => ['payload', 'signature', 'origin_stream', 'reason'].includes(name));
  if (needed.length > 0) {
    return { code: 'ESPER_OONA_LETTER_DAMAGED', reason: `the letter lacks ${needed.join(', ')} (${error})` };
  }
  const { deadLetter, ...origins } = streams;
  if (Object.values(origins).includes(originStream)) return undefined;
  return { code: 'ESPER_OONA_UNKNOWN_STREAM', reason: `"${originStream}" is no stream of this bus` };
}

function unverified(
  letter: DeadLetter,
  refusal: Refusal,
  { allowUnverified, named }: ReplayRules,
  { streams }: ReplayParts,
): Prepared | Refusal {
  if (allowUnverified !== 'as-is') return refusal;
  if (!named && letter.originStream === streams.emergency) return needsId();
  const { payload, signature, eventId } = letter;
  return { entry: { payload, signature }, eventId, asIs: true };
}

function refuseMessage(
  { originStream, reason }: DeadLetter,
  { messageType, attributes }: OpenedEnvelope,
  { newEventId, named }: ReplayRules,
): Refusal | undefined {
  const signedFor = attributes[ENVELOPE_ATTRIBUTES.stream];
  if (signedFor !== undefined && signedFor !== originStream) {
    return {
      code: 'ESPER_OONA_WRONG_STREAM',
      reason: `signed for ${signedFor}, found on ${originStream}: somebody moved it, and a new signature would hide that`,
    };
  }
  if (reason === REPLAYED && newEventId !== true) {
    return { code: REPLAYED, reason: 'its event was handled already; newEventId has it handled once more' };
  }
  return !named && messageType === EMERGENCY ? needsId() : undefined;
}

function needsId(): Refusal {
  return {
    code: 'ESPER_OONA_NEEDS_ID',
    reason: 'an old emergency would be obeyed as a new one: replay it by its letter id, if that is meant',
  };
}

function sealed(
  { letterId, originStream, group }: DeadLetter,
  { messageType, payload, attributes }: OpenedEnvelope,
  { newEventId }: ReplayRules,
  { keyRing, maxPayloadBytes, clock }: ReplayParts,
): Prepared {
  const { [ENVELOPE_ATTRIBUTES.keyId]: _formerKey, ...kept } = attributes;
  const given = attributes[ENVELOPE_ATTRIBUTES.eventId] ?? '';
  const eventId = newEventId === true ? derivedEventId(given, letterId) : given;
  const fresh = {
    ...kept,
    ...(eventId === '' ? {} : { [ENVELOPE_ATTRIBUTES.eventId]: eventId }),
    [ENVELOPE_ATTRIBUTES.issuedAtMs]: String(Math.floor(clock.wallMs())),
    [ENVELOPE_ATTRIBUTES.stream]: originStream,
    [REPLAY_ATTRIBUTES.replayOf]: letterId,
    ...(group === '' ? {} : { [REPLAY_ATTRIBUTES.replayGroup]: group }),
  };
  const entry = sealEnvelope({ messageType, payload, attributes: fresh }, keyRing, { maxPayloadBytes });
  return { entry, eventId, asIs: false };
}

/** The same for each attempt at one letter: beyond `replayWindowMs` consumers still know it by that. */
function derivedEventId(eventId: string, letterId: string): string {
  const former = eventId.replace(/(^|:)replay:\d+-\d+$/, '');
  return former === '' ? `replay:${letterId}` : `${former}:replay:${letterId}`;
}
