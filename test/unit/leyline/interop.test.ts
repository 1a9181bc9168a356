import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeMessage, encodeMessage } from '../../../src/leyline/codec.ts';
import { buildEmergencySignal, readEmergencySignal } from '../../../src/leyline/emergency.ts';
import { openEnvelope, sealEnvelope } from '../../../src/leyline/envelope.ts';
import { createKeyRing } from '../../../src/leyline/key-ring.ts';
import { BusMessageType, EmergencyLevel } from '../../../src/leyline/messages.ts';

/** Made by make-vectors.py with no protobuf library; its HMACs were also checked with `openssl dgst -hmac`. */
const vectors = JSON.parse(
  readFileSync(new URL('../../fixtures/leyline/vectors.json', import.meta.url), 'utf8'),
) as {
  readonly secret: string;
  readonly peer: Vector;
  readonly full: Vector;
};

interface Vector {
  readonly message: string;
  readonly payload: string;
  readonly signature: string;
}

const test = suite('leyline interop');
const EMERGENCY = BusMessageType.BUS_MESSAGE_TYPE_EMERGENCY_SIGNAL;
const ring = createKeyRing({ current: { id: 'k1', secret: vectors.secret } });
const bytesOf = (hex: string) => Buffer.from(hex, 'hex');
const entryOf = (vector: Vector) => ({ payload: bytesOf(vector.payload), signature: vector.signature });

/** The emergency in `vectors.full`. */
const full = buildEmergencySignal({
  level: EmergencyLevel.EMERGENCY_LEVEL_CONSERVATIVE,
  reason: 'grad norm is NaN',
  origin: 'tolaria.guard',
  runId: 'run-7',
  step: Number.MAX_SAFE_INTEGER,
  signalId: 'host-1:4242:17',
  bootId: '0d7e4a52-7f0e-4d0f-9c1e-2f4f6f6f0001',
  monotonicNs: 18_446_744_073_709_551_615n,
  wallMs: 1_763_700_000_123,
  attributes: { phase: 'backward', a: '1', Z: 'ü' },
  checksum: true,
});

const attributes = {
  event_id: 'host-1:4242:17',
  issued_at_ms: '1763700000123',
  stream: 'oona.emergency',
  source: 'tolaria',
};

test('[R-F1][R-O1] an entry of an existing peer, with none of our attributes, is verified and read', () => {
  const opened = openEnvelope(entryOf(vectors.peer), ring);
  assert.is(opened.messageType, EMERGENCY);
  assert.is(opened.keyId, 'k1');
  assert.equal(opened.attributes, { origin: 'tolaria', reason: 'loss exploded', level: '4' });
  assert.is(Buffer.from(opened.payload).toString('hex'), vectors.peer.message);
  const fields = readEmergencySignal(decodeMessage(EMERGENCY, opened.payload));
  assert.is(fields.level, EmergencyLevel.EMERGENCY_LEVEL_HALT);
  assert.is(fields.reason, 'loss exploded: 12.5 × baseline');
  assert.is(fields.origin, 'tolaria');
  assert.is(fields.signalId, '');
  assert.is(fields.wallMs, undefined);
});

test('[R-F1] every field of a foreign emergency is read, 64-bit ones exactly, its checksum accepted', () => {
  const opened = openEnvelope(entryOf(vectors.full), ring);
  assert.equal(opened.attributes, { ...attributes, key_id: 'k1' });
  const fields = readEmergencySignal(decodeMessage(EMERGENCY, opened.payload));
  assert.equal(fields, readEmergencySignal(full));
  assert.is(fields.monotonicNs, 18_446_744_073_709_551_615n);
  assert.is(fields.step, 9_007_199_254_740_991);
  assert.is(fields.wallMs, 1_763_700_000_123);
});

test('[R-F1] our encoding of the same emergency is the same bytes', () => {
  assert.is(Buffer.from(encodeMessage(EMERGENCY, full)).toString('hex'), vectors.full.message);
});

test('[R-O1] our sealed entry is the same bytes and the same signature', () => {
  const sealed = sealEnvelope(
    { messageType: EMERGENCY, payload: encodeMessage(EMERGENCY, full), attributes },
    ring,
  );
  assert.is(Buffer.from(sealed.payload).toString('hex'), vectors.full.payload);
  assert.is(sealed.signature, vectors.full.signature);
});

test.run();
