import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import type { Metrics } from '../../core/metrics.ts';
import type { Attributes } from '../../leyline/envelope.ts';
import type { KeyRing } from '../../leyline/key-ring.ts';
import type { StreamNames } from '../streams.ts';
import type { BusTransport } from '../transport/transport.ts';
import type { LetterCounts } from './counts.ts';
import type { DeadLetter } from './letter.ts';

export interface DeadLettersOptions {
  readonly transport: BusTransport;
  /** Verifies the originals and signs what is replayed. undefined: an unsigned bus, where nothing is verified. */
  readonly keyRing: KeyRing | undefined;
  readonly streams: StreamNames;
  /** Larger originals are not opened, bytes, 1024 to 512 MiB: the bus's own limit. Default 1 MiB. */
  readonly maxPayloadBytes?: number;
  /** Bound on each call to the engine, milliseconds, 1-600000; past it the action ends as failed. Default 2000. */
  readonly callDeadlineMs?: number;
  /**
   * How long a replay is remembered by the engine, milliseconds, 1000 to 7 days. A replay repeated within it (after a
   * crash, by two operators) stores the message once; later only the consumers' replay guard stands between. Default
   * 86400000 (a day).
   */
  readonly replayWindowMs?: number;
  /** Most letters that `counts` looks at, the newest first, 1-10000000; `complete` is false then. Default 100000. */
  readonly countLimit?: number;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** Which letters: those that meet every condition. At least one must be given, or `all: true`. */
export interface LetterFilter {
  /** Reason, e.g. 'ESPER_LEYLINE_SIGNATURE_MISMATCH'. */
  readonly code?: string;
  /** Stream of the original. */
  readonly stream?: string;
  /** Number of the BusMessageType. */
  readonly messageType?: number;
  /** In the dead letters for at least this long by the engine's clock, milliseconds, from 0. */
  readonly olderThanMs?: number;
  /** Every letter; `{}` would be too easily the result of a mistake. */
  readonly all?: true;
}

/** Letters by id, or by what they have in common. */
export type LetterSelection = readonly string[] | LetterFilter;

export interface CallBounds {
  readonly signal?: AbortSignal;
}

export interface LetterQuery extends Omit<LetterFilter, 'all'>, CallBounds {
  /** Most letters to return, 1-1000000. Default 100. */
  readonly limit?: number;
  /** Letter id to go on after. Default: from the end that `newestFirst` says. */
  readonly after?: string;
  /** Default true. Oldest first ends with the letter that is the newest at the start. */
  readonly newestFirst?: boolean;
}

export interface Refusal {
  /** Stable code. */
  readonly code: string;
  readonly reason: string;
}

export interface EngineFailure extends Refusal {
  readonly retryable: boolean;
}

export interface LetterContent {
  readonly letter: DeadLetter;
  /** `keyId` is undefined on an unsigned bus, where nothing can be verified. */
  readonly verified:
    | { readonly ok: true; readonly keyId: string | undefined }
    | ({ readonly ok: false } & Refusal);
  /** Of the envelope; absent when it does not verify: bytes of a stranger are not decoded. */
  readonly envelope?: {
    readonly messageType: number;
    /** Name of the message type, 'BUS_MESSAGE_TYPE_TELEMETRY'. */
    readonly typeName: string;
    readonly attributes: Attributes;
  };
  /** The message as JSON: enums by name, 64-bit numbers as decimal strings, bytes as base64. */
  readonly message?: object;
  /** Why there is no `message` although the envelope verifies. */
  readonly messageProblem?: Refusal;
  /** The original entry. */
  readonly payloadBase64: string;
  readonly signatureText: string;
}

export type InspectResult =
  | ({ readonly outcome: 'found' } & LetterContent)
  | { readonly outcome: 'not-found'; readonly letterId: string };

export interface ReplayOptions extends CallBounds {
  /**
   * 'as-is': an original that does not verify or decode is appended untouched, to be judged again by its consumers
   * (once a removed key is back in their ring, say). Default: it is refused.
   */
  readonly allowUnverified?: 'as-is';
  /**
   * The message gets an event id of its own, derived from the letter, so that consumers that have handled the event
   * handle it again. Default false; a letter whose reason is ESPER_OONA_REPLAYED is refused without it.
   */
  readonly newEventId?: boolean;
  /** With a filter: most letters to replay, 1-100000. Default 1000. */
  readonly limit?: number;
}

export type ReplayResult = { readonly letterId: string } & (
  | {
      /** 'already-replayed': the same letter was replayed before, only its removal was lost. */
      readonly outcome: 'replayed' | 'already-replayed';
      readonly stream: string;
      readonly entryId: string;
      /** '' when the message carries none, and as it is. */
      readonly eventId: string;
      /** Appended untouched, because it does not verify. */
      readonly asIs: boolean;
      /** False: the message is on its stream, the letter could not be removed; replaying it again removes it. */
      readonly removed: boolean;
    }
  /** Nothing was published, the letter is where it was; the same call would be refused again. */
  | ({ readonly outcome: 'refused' } & Refusal)
  | { readonly outcome: 'not-found' }
  /** The engine did not answer in time or refused; whether it was published is unknown. Repeating it is safe. */
  | ({ readonly outcome: 'failed' } & EngineFailure)
);

export interface ReplayReport {
  readonly replayed: number;
  readonly alreadyReplayed: number;
  readonly refused: number;
  readonly notFound: number;
  readonly failed: number;
  /** In the order of the letters. */
  readonly results: readonly ReplayResult[];
  /** There may be more letters that the filter means: it ended at `limit` or at a failure. */
  readonly more: boolean;
  /** The engine failed; the rest was left alone. Repeating the call goes on. */
  readonly failure?: EngineFailure;
}

export interface PurgeReport {
  readonly removed: number;
  /** Of the ids that were given, those that are no letters (any more). */
  readonly notFound: number;
  /** The engine failed before all were removed; repeating it removes the rest. */
  readonly failure?: EngineFailure;
}

export interface DeadLetters {
  /** Ends after `limit` letters. Rejects with TransportError when the engine fails, OptionError on a bad query. */
  list(query?: LetterQuery): AsyncGenerator<DeadLetter, void, undefined>;
  /** One letter, its message decoded where it verifies. Rejects as `list`. */
  inspect(letterId: string, bounds?: CallBounds): Promise<InspectResult>;
  /**
   * Publishes the originals again, each as a fresh message on the stream that it came from: attributes and event id
   * kept, `issued_at_ms` new, `replay_of` and `replay_group` added, signed with the current key. Then removes the
   * letter. A filter passes over emergencies: what was one is replayed only by its id. Rejects with OptionError only.
   */
  replay(selection: LetterSelection, options?: ReplayOptions): Promise<ReplayReport>;
  /** Removes letters for good. Rejects with OptionError only. */
  purge(selection: LetterSelection, bounds?: CallBounds): Promise<PurgeReport>;
  /** How many there are, by code, stream and message type. Rejects as `list`. */
  counts(bounds?: CallBounds): Promise<LetterCounts>;
}
