import { Command } from 'ioredis';
import { nodeName } from './redis-target.ts';
import type { RedisNode } from './redis-url.ts';

export const SLOT_COUNT = 16_384;
const MOST_CACHED = 1024;

const cached = new Map<string, number>();

/** The hash slot of a key, {tag} observed. */
export function slotOf(key: string): number {
  let slot = cached.get(key);
  if (slot === undefined) {
    // ioredis's own, so that there is one implementation of the hash in the process.
    slot = new Command('get', [key]).getSlot();
    if (cached.size >= MOST_CACHED) cached.clear();
    cached.set(key, slot);
  }
  return slot;
}

export interface SlotRange {
  readonly from: number;
  readonly to: number;
  readonly primary: RedisNode;
}

/**
 * Reply of CLUSTER SLOTS: rows of first slot, last slot, primary, replicas …; a node is host, port, id … A node that
 * does not know its own address leaves the host empty: that means `asked`.
 */
export function parseSlots(reply: unknown, asked: RedisNode): SlotRange[] {
  const ranges: SlotRange[] = [];
  for (const row of Array.isArray(reply) ? reply : []) {
    const [from, to, primary] = Array.isArray(row) ? row : [];
    const [host, port] = Array.isArray(primary) ? primary : [];
    const range = {
      from: Number(from),
      to: Number(to),
      primary: { host: textOf(host) || asked.host, port: Number(port) },
    };
    const { port: number } = range.primary;
    if (isSlot(range.from) && isSlot(range.to) && number >= 1 && number <= 65_535) ranges.push(range);
  }
  return ranges;
}

export function isSlot(slot: number): boolean {
  return Number.isInteger(slot) && slot >= 0 && slot < SLOT_COUNT;
}

function textOf(value: unknown): string {
  const text = Buffer.isBuffer(value) ? value.toString('latin1') : String(value ?? '');
  return text === '?' ? '' : text;
}

/** Which node has which slot, as far as is known. */
export class SlotMap {
  readonly #owners = new Array<string | undefined>(SLOT_COUNT).fill(undefined);
  readonly #nodes = new Map<string, RedisNode>();

  constructor(ranges: readonly SlotRange[]) {
    for (const { from, to, primary } of ranges) {
      const name = nodeName(primary);
      this.#nodes.set(name, primary);
      this.#owners.fill(name, from, to + 1);
    }
  }

  /** Names of the primaries. */
  get names(): readonly string[] {
    return [...this.#nodes.keys()];
  }

  node(name: string): RedisNode | undefined {
    return this.#nodes.get(name);
  }

  ownerOf(slot: number): string | undefined {
    return this.#owners[slot];
  }

  assign(slot: number, node: RedisNode): void {
    const name = nodeName(node);
    this.#nodes.set(name, node);
    this.#owners[slot] = name;
  }
}
