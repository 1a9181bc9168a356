/**
 * The secrets that sign bus entries: one current, which signs, and those before it, which still verify. Rotation is
 * then: give every process the new secret as previous, make it current everywhere, drop the old one.
 *
 * A signature is base64 (standard alphabet, padded) of HMAC-SHA256 over the payload, keyed by the secret's UTF-8 bytes.
 */
import { createHmac, createSecretKey, type Hmac, hash, type KeyObject, timingSafeEqual } from 'node:crypto';
import { inspect } from 'node:util';
import { refuseUnknownKeys, requireRange } from '../core/options.ts';
import { LeylineError, SignatureError } from './errors.ts';

export interface KeyOptions {
  /**
   * Names the key in logs and in attribute `key_id`: 1-64 of A-Z a-z 0-9 . _ -
   * Default: derived from the secret, so that all processes that share it name it alike; reveals nothing that a
   * signature does not.
   */
  readonly id?: string;
  /** Shared with the peers; at least `minSecretLength` bytes of UTF-8. */
  readonly secret: string;
}

export interface KeyRingOptions {
  /** Signs and verifies. */
  readonly current: KeyOptions;
  /** Verify only. A secret that is listed twice counts once. Default none; at most 15. */
  readonly previous?: readonly KeyOptions[];
  /** Shorter secrets are refused, bytes, 1-1024. Default 16. */
  readonly minSecretLength?: number;
}

export interface KeyRing {
  /** Id of the key that signs. */
  readonly currentKeyId: string;
  /** Ids of all keys, current first. */
  readonly keyIds: readonly string[];
  /** Signature of the payload by the current key, 44 characters. */
  sign(payload: Uint8Array): string;
  /**
   * Id of the key that made the signature. Throws `SignatureError` with code `ESPER_LEYLINE_SIGNATURE_MISSING`,
   * `_MALFORMED` or `_MISMATCH`.
   */
  verify(payload: Uint8Array, signature: string): string;
}

const MAX_PREVIOUS = 15;
const SIGNATURE_LENGTH = 44;
/** 32 bytes: the last digit before the padding carries four bits, its other two must be zero, else it is not canonical. */
const SIGNATURE = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;
const KEY_ID = /^[A-Za-z0-9._-]{1,64}$/;

interface Key {
  readonly id: string;
  readonly secret: KeyObject;
  readonly pads: Pads;
}

/** The key as HMAC's inner and outer hash begin with it (RFC 2104), one block each. */
interface Pads {
  readonly inner: Uint8Array;
  readonly outer: Uint8Array;
}

const BLOCK = 64;
const DIGEST = 32;
/** A larger payload is not copied for the one-shot hash: there the hashing itself decides. */
const ONE_SHOT_BYTES = 16_384;
const innerInput = Buffer.alloc(BLOCK + ONE_SHOT_BYTES);
const outerInput = Buffer.alloc(BLOCK + DIGEST);
/** The part of `innerInput` that was used last: messages of one size follow each other. */
let innerView = innerInput.subarray(0, BLOCK);
const given = Buffer.alloc(SIGNATURE_LENGTH);
const expected = Buffer.alloc(SIGNATURE_LENGTH);

/** Throws `LeylineError` ESPER_LEYLINE_KEY_INVALID (never with the secret in it), or `OptionError`. */
export function createKeyRing(options: KeyRingOptions): KeyRing {
  refuseUnknownKeys('createKeyRing', options, ['current', 'previous', 'minSecretLength']);
  const minLength = requireRange('createKeyRing', 'minSecretLength', options.minSecretLength ?? 16, 1, 1024);
  const previous = options.previous ?? [];
  requireRange('createKeyRing', 'number of previous keys', previous.length, 0, MAX_PREVIOUS);
  const current = makeKey('current', options.current, minLength);
  const keys = [current];
  for (const [index, given] of previous.entries()) {
    const key = makeKey(`previous[${index}]`, given, minLength);
    if (keys.some((other) => other.secret.equals(key.secret))) continue;
    if (keys.some((other) => other.id === key.id)) {
      throw invalid(
        `previous[${index}]`,
        `id "${key.id}" already names another secret; give it an id of its own`,
      );
    }
    keys.push(key);
  }
  return new HmacKeyRing(current, keys);
}

/** The keys are private fields: no inspection, serialization or structured clone of the ring reaches them. */
class HmacKeyRing implements KeyRing {
  readonly currentKeyId: string;
  readonly keyIds: readonly string[];
  readonly #current: Key;
  readonly #keys: readonly Key[];
  /**
   * The next signature's HMAC, its key in place: what is left then takes half as long where code and data have left the
   * caches, and an emergency waits for its signature. Made when the event loop has nothing else to do; signatures that
   * follow each other closely do without.
   */
  #prepared: Hmac | undefined;
  #preparing = false;
  #signedMeanwhile = 0;
  readonly #prepare = (): void => {
    this.#preparing = this.#signedMeanwhile > 0;
    this.#signedMeanwhile = 0;
    if (this.#preparing) setImmediate(this.#prepare);
    else this.#prepared ??= hmacOf(this.#current.secret);
  };

  constructor(current: Key, keys: readonly Key[]) {
    this.#current = current;
    this.#keys = keys;
    this.currentKeyId = current.id;
    this.keyIds = Object.freeze(keys.map((key) => key.id));
    Object.freeze(this);
    this.#prepare();
  }

  sign(payload: Uint8Array): string {
    const prepared = this.#prepared;
    this.#prepared = undefined;
    if (this.#preparing) {
      this.#signedMeanwhile++;
    } else {
      this.#preparing = true;
      setImmediate(this.#prepare);
    }
    return prepared === undefined
      ? signatureOf(this.#current, payload)
      : prepared.update(payload).digest('base64');
  }

  verify(payload: Uint8Array, signature: string): string {
    takeSignature(signature);
    let matching: string | undefined;
    // Every key is tried although one matched: how long this takes tells nobody which.
    for (const key of this.#keys) {
      expected.write(signatureOf(key, payload), 'latin1');
      if (timingSafeEqual(expected, given)) matching ??= key.id;
    }
    if (matching === undefined) {
      if (!SIGNATURE.test(signature)) throw malformed();
      throw new SignatureError(
        'ESPER_LEYLINE_SIGNATURE_MISMATCH',
        `signature fits none of the keys ${this.keyIds.join(', ')}: other secret, or altered payload`,
      );
    }
    return matching;
  }

  toString(): string {
    return `KeyRing(${this.keyIds.join(', ')})`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

function makeKey(which: string, given: KeyOptions, minLength: number): Key {
  if (typeof given !== 'object' || given === null) throw invalid(which, 'must be {id?, secret}');
  refuseUnknownKeys(`createKeyRing ${which}`, given, ['id', 'secret']);
  const { id, secret } = given;
  if (typeof secret !== 'string' || secret === '') throw invalid(which, 'secret is missing');
  const bytes = Buffer.from(secret, 'utf8');
  if (bytes.toString('utf8') !== secret) {
    throw invalid(which, 'secret has a lone surrogate, which UTF-8 cannot carry');
  }
  if (bytes.length < minLength) {
    throw invalid(
      which,
      `secret has ${bytes.length} bytes, minSecretLength is ${minLength}; use a longer secret`,
    );
  }
  const key = createSecretKey(bytes);
  const pads = padsOf(bytes);
  bytes.fill(0);
  const keyId = id ?? derivedId(key);
  if (typeof keyId !== 'string' || !KEY_ID.test(keyId)) {
    throw invalid(which, 'id must be 1-64 of A-Z a-z 0-9 . _ -');
  }
  return { id: keyId, secret: key, pads };
}

function derivedId(secret: KeyObject): string {
  return createHmac('sha256', secret).update('esper.leyline.v1 key id').digest('hex').slice(0, 12);
}

function hmacOf(secret: KeyObject): Hmac {
  return createHmac('sha256', secret);
}

function padsOf(secret: Buffer): Pads {
  const block = Buffer.alloc(BLOCK);
  (secret.length > BLOCK ? hash('sha256', secret, 'buffer') : secret).copy(block);
  const pads = { inner: block.map((byte) => byte ^ 0x36), outer: block.map((byte) => byte ^ 0x5c) };
  block.fill(0);
  return pads;
}

/** HMAC as two one-shot hashes: an Hmac object for each message takes twice as long and leaves more garbage. */
function signatureOf({ secret, pads }: Key, payload: Uint8Array): string {
  if (!(payload instanceof Uint8Array) || payload.length > ONE_SHOT_BYTES) {
    return hmacOf(secret).update(payload).digest('base64');
  }
  if (innerView.length !== BLOCK + payload.length) innerView = innerInput.subarray(0, BLOCK + payload.length);
  innerInput.set(pads.inner);
  innerInput.set(payload, BLOCK);
  outerInput.set(pads.outer);
  // By way of a string: it costs less than a Buffer.
  outerInput.write(hash('sha256', innerView, 'binary'), BLOCK, 'binary');
  return hash('sha256', outerInput, 'base64');
}

/**
 * Into `given`. Compared as text, not as the bytes it stands for: Buffer.from would skip over foreign characters and
 * take URL-safe or unpadded base64 for the same bytes. Lengths are no secret.
 */
function takeSignature(signature: unknown): void {
  if (signature === undefined || signature === null || signature === '') {
    throw new SignatureError(
      'ESPER_LEYLINE_SIGNATURE_MISSING',
      'entry is not signed, but this bus has a key ring',
    );
  }
  if (typeof signature !== 'string' || signature.length !== SIGNATURE_LENGTH) throw malformed();
  // UTF-8, so that no other character is written as one of ASCII; fewer bytes would leave the end of the one before.
  if (given.write(signature, 'utf8') !== SIGNATURE_LENGTH) throw malformed();
}

function malformed(): SignatureError {
  return new SignatureError(
    'ESPER_LEYLINE_SIGNATURE_MALFORMED',
    `signature must be ${SIGNATURE_LENGTH} characters of padded standard base64 (32 bytes)`,
  );
}

function invalid(which: string, why: string): LeylineError {
  return new LeylineError('ESPER_LEYLINE_KEY_INVALID', `createKeyRing: ${which}: ${why}`);
}
