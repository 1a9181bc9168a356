import type { CodableType, MessageOf } from '../../leyline/codec.ts';
import type { OpenedEnvelope } from '../../leyline/envelope.ts';
import type { Delivery } from '../work-types.ts';
import { Cancel } from './cancel.ts';
import type { Work } from './work.ts';

/** What a handler gets, one for each call. Its signal is made when it is asked for. */
export class WorkDelivery {
  readonly type: CodableType;
  readonly message: MessageOf<CodableType>;
  readonly eventId: string;
  readonly attributes: OpenedEnvelope['attributes'];
  readonly stream: string;
  readonly entryId: string;
  readonly deliveryCount: number;
  readonly keyId: string | undefined;
  readonly issuedAtMs: number;
  #cancel: Cancel | undefined;

  constructor(work: Work, opened: OpenedEnvelope, message: MessageOf<CodableType>, issuedAtMs: number) {
    const { entry } = work;
    this.type = opened.messageType as CodableType;
    this.message = message;
    this.eventId = work.eventId ?? entry.entryId;
    this.attributes = opened.attributes;
    this.stream = entry.stream;
    this.entryId = entry.entryId;
    this.deliveryCount = work.deliveryCount;
    this.keyId = opened.keyId;
    this.issuedAtMs = issuedAtMs;
  }

  get traceparent(): string | undefined {
    return this.attributes.traceparent;
  }

  get tracestate(): string | undefined {
    return this.attributes.tracestate;
  }

  get signal(): AbortSignal {
    this.#cancel ??= new Cancel();
    return this.#cancel.signal;
  }

  /** Not a method that a handler could find on what it was given. */
  static abort(delivery: WorkDelivery | undefined, reason: Error): void {
    if (delivery === undefined) return;
    delivery.#cancel ??= new Cancel();
    delivery.#cancel.abort(reason);
  }
}

export function asDelivery(delivery: WorkDelivery): Delivery {
  return delivery as Delivery;
}
