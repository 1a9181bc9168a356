import type { esper } from '../leyline/generated/leyline.js';

type leyline = typeof esper.leyline.v1;
export type EmergencySignalMessage = InstanceType<leyline['EmergencySignal']>;
export type TelemetryPacketMessage = InstanceType<leyline['TelemetryPacket']>;

/** How a publish ended. Never a bare boolean, never an exception for a bus that is away. */
export type PublishResult =
  | {
      readonly outcome: 'published';
      readonly stream: string;
      readonly entryId: string;
      readonly latencyMs: number;
    }
  /** The same event id was on the stream already. */
  | {
      readonly outcome: 'duplicate';
      readonly stream: string;
      readonly entryId: string;
      readonly latencyMs: number;
    }
  /** Nothing was stored for certain within the deadline; `retryable` tells whether trying again can help. */
  | {
      readonly outcome: 'failed';
      readonly stream: string;
      readonly code: string;
      readonly reason: string;
      readonly retryable: boolean;
      readonly latencyMs: number;
    };

export interface PublishOptions {
  /** Bound on the publish, milliseconds. Default: the bus's `publishDeadlineMs` (2000). */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

export interface EmergencyPublishOptions extends PublishOptions {
  /**
   * W3C trace context to carry. Default: that of the active OpenTelemetry span, when there is one. One that is malformed
   * is left out: an emergency is not refused for its sake.
   */
  readonly traceparent?: string;
  readonly tracestate?: string;
}

/** The part of the bus that publishers need; what Tolaria and Weatherlight are given. */
export interface EmergencyPublisher {
  publishEmergency(
    message: EmergencySignalMessage,
    options?: EmergencyPublishOptions,
  ): Promise<PublishResult>;
  publishTelemetry(packet: TelemetryPacketMessage, options?: PublishOptions): Promise<PublishResult>;
}

export interface EmergencyDelivery {
  readonly message: EmergencySignalMessage;
  readonly attributes: Readonly<Record<string, string>>;
  readonly stream: string;
  readonly entryId: string;
  /** 1 on the first delivery to this host. */
  readonly deliveryCount: number;
  /** Which key verified it; undefined on an unsigned bus. */
  readonly keyId: string | undefined;
}

export type EmergencyHandler = (delivery: EmergencyDelivery) => Promise<void> | void;
