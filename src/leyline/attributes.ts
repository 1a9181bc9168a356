/** Names of the envelope attributes that this package and its peers use. */
export const ENVELOPE_ATTRIBUTES = Object.freeze({
  /** Unique per message. */
  eventId: 'event_id',
  /** Wall clock of the publisher, Unix milliseconds. */
  issuedAtMs: 'issued_at_ms',
  /** The stream it was published to. */
  stream: 'stream',
  /** Publishing subsystem. */
  source: 'source',
  /** Which secret signed it. A claim like every attribute: `OpenedEnvelope.keyId` is what was verified. */
  keyId: 'key_id',
  /** On emergencies. */
  origin: 'origin',
  reason: 'reason',
  level: 'level',
});

export type Attributes = Readonly<Record<string, string>>;

/** Attributes by those names. */
export type EnvelopeAttributes = Readonly<
  Partial<Record<(typeof ENVELOPE_ATTRIBUTES)[keyof typeof ENVELOPE_ATTRIBUTES], string>>
>;
