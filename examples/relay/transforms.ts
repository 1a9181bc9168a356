import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { BusEnvelope, BusMessageType } from '../../src/leyline/messages.ts';
import type { Parcel, Payload } from './payload.ts';

const compress = promisify(gzip);

/** Pieces of the result. With zlib's own 16 KiB a payload is a thousand of them. */
const CHUNK_BYTES = 2 ** 20;

async function gzipped(payload: Payload): Promise<Parcel> {
  const { id, sizeBytes } = payload;
  const bytes = await compress(payload.take(), { level: 1, chunkSize: CHUNK_BYTES });
  return { id, sizeBytes, bytes, ending: '.gz' };
}

/** A BusEnvelope with the payload in it: what another service of the bus can open. */
async function enveloped(payload: Payload): Promise<Parcel> {
  const { id, sizeBytes } = payload;
  const envelope = {
    messageType: BusMessageType.BUS_MESSAGE_TYPE_UNSPECIFIED,
    payload: payload.take(),
    attributes: { event_id: id, source: 'relay' },
  };
  const bytes = BusEnvelope.encode(envelope).finish();
  return { id, sizeBytes, bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), ending: '.pb' };
}

export const TRANSFORMS = Object.freeze({ gzip: gzipped, protobuf: enveloped });

export type TransformName = keyof typeof TRANSFORMS;

/** What cannot be compressed grows by headers and the marks of blocks. */
export const packedAtMost = (bytes: number): number => Math.ceil(bytes * 1.001) + 1024;
