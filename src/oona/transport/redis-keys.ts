import { wireText } from './redis-wire.ts';

/** The keys of a stream as they go over the wire. All lie in one hash slot: one Lua call touches them. */
export interface StreamKeys {
  readonly stream: string;
  /** Before the dedup id. */
  readonly dedupPrefix: string;
  readonly depth: string;
  readonly full: string;
}

/** In front of whatever is stored beside a stream: in its hash slot. */
function besidePrefix(stream: string): string {
  const hasTag = /\{[^}]+\}/.test(stream);
  return hasTag ? stream : `{${stream}}`;
}

/** Before the dedup id. */
export function dedupPrefix(stream: string): string {
  return `${besidePrefix(stream)}:dedup:`;
}

export function streamKeys(stream: string): StreamKeys {
  return {
    stream: wireText(stream),
    dedupPrefix: wireText(dedupPrefix(stream)),
    depth: wireText(`${besidePrefix(stream)}:depth`),
    full: wireText(`${besidePrefix(stream)}:full`),
  };
}
