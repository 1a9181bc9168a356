import type { Random } from '../../core/random.ts';

/** A text as 94 bits: 32 + 32 + 30. */
export interface KeyHash {
  high: number;
  low: number;
  /** Of these, KeyTable keeps 22 and ReplayGuard chooses the table by 8. */
  rest: number;
}

/**
 * Makes the hash of a process: three of MurmurHash3's four 32-bit lanes over pairs of characters, seeded. For texts of
 * publishers that hold the bus's secret; nobody who does not know the seed can look for two that collide.
 */
export function createKeyHash(random: Random): (text: string, into: KeyHash) => void {
  const seeds = [0, 0, 0].map(() => Math.floor(random() * 2 ** 32) | 0);
  const [seedHigh = 0, seedLow = 0, seedRest = 0] = seeds;
  return (text, into) => {
    let high = seedHigh;
    let low = seedLow;
    let rest = seedRest;
    const { length } = text;
    for (let i = 0; i < length; i += 2) {
      // A character behind the end counts as none: the length tells texts apart that this makes alike.
      const pair = text.charCodeAt(i) | (i + 1 < length ? text.charCodeAt(i + 1) << 16 : 0);
      let mixed = Math.imul(pair, 0x239b961b);
      mixed = Math.imul((mixed << 15) | (mixed >>> 17), 0xab0e9789);
      high ^= mixed;
      high = (Math.imul((high << 19) | (high >>> 13), 5) + 0x561ccd1b) | 0;
      mixed = Math.imul(pair, 0xab0e9789);
      mixed = Math.imul((mixed << 16) | (mixed >>> 16), 0x38b34ae5);
      low ^= mixed;
      low = (Math.imul((low << 17) | (low >>> 15), 5) + 0x0bcaa747) | 0;
      mixed = Math.imul(pair, 0x38b34ae5);
      mixed = Math.imul((mixed << 17) | (mixed >>> 15), 0xa1e38b93);
      rest ^= mixed;
      rest = (Math.imul((rest << 15) | (rest >>> 17), 5) + 0x96cd1c35) | 0;
    }
    high ^= length;
    low ^= length;
    rest ^= length;
    high = (high + low + rest) | 0;
    low = (low + high) | 0;
    rest = (rest + high) | 0;
    into.high = finish(high) | 0;
    into.low = finish(low) | 0;
    into.rest = finish(rest) >>> 2;
  };
}

/** 32 bits of an entry id. */
export function markOf(entryId: string): number {
  let mark = 0x9747b28c | 0;
  for (let i = 0; i < entryId.length; i++) mark = Math.imul(mark ^ entryId.charCodeAt(i), 0x01000193);
  return finish(mark) | 0;
}

function finish(half: number): number {
  let mixed = Math.imul(half ^ (half >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
