import { FastpathError } from '../core/errors.ts';

/** What can be wrong with bytes or messages of the contract. */
export type LeylineErrorCode =
  /** No bytes: nothing of the contract is meaningful with every field at its default. */
  | 'ESPER_LEYLINE_EMPTY'
  /** More bytes than `maxPayloadBytes`; refused before anything is decoded. */
  | 'ESPER_LEYLINE_TOO_LARGE'
  /** Bytes that end too early or are no message of that type. */
  | 'ESPER_LEYLINE_TRUNCATED'
  /** A message type without a name, or one that has no message here. */
  | 'ESPER_LEYLINE_UNKNOWN_TYPE'
  /** An enum value that must be understood to be obeyed, and is not. */
  | 'ESPER_LEYLINE_UNKNOWN_ENUM'
  /** `payload_checksum` is present and does not fit the attributes. */
  | 'ESPER_LEYLINE_CHECKSUM_MISMATCH'
  /** A message to be sent has a field of the wrong type. */
  | 'ESPER_LEYLINE_INVALID'
  /** A secret or key id that cannot be used; the message never contains the secret. */
  | 'ESPER_LEYLINE_KEY_INVALID'
  | SignatureErrorCode;

export type SignatureErrorCode =
  /** The entry carries no signature, and the bus requires one. */
  | 'ESPER_LEYLINE_SIGNATURE_MISSING'
  /** Not the base64 (standard alphabet, padded, canonical) of 32 bytes. */
  | 'ESPER_LEYLINE_SIGNATURE_MALFORMED'
  /** No key of the ring made this signature for these bytes. */
  | 'ESPER_LEYLINE_SIGNATURE_MISMATCH';

/** Every error of this layer. None is retryable: the same bytes stay wrong. */
export class LeylineError extends FastpathError {
  declare readonly code: LeylineErrorCode;

  constructor(code: LeylineErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(code, message, options);
  }
}

/** The signature of an entry was refused: the payload behind it was not decoded. */
export class SignatureError extends LeylineError {
  declare readonly code: SignatureErrorCode;

  constructor(code: SignatureErrorCode, message: string) {
    super(code, message);
  }
}
