import { wireText } from './redis-wire.ts';

/** The keys of a stream as they go over the wire. All lie in one hash slot: one Lua call touches them. */
export interface StreamKeys {
  readonly stream: string;
  /** What an append is called in errors. */
  readonly what: string;
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

/** Of what a script keeps beside a stream; as it goes over the wire. */
export function besideKey(stream: string, name: 'bytes' | 'depth' | 'depths' | 'full' | 'trim'): string {
  return wireText(`${besidePrefix(stream)}:${name}`);
}

/** Before the dedup id. */
export function dedupPrefix(stream: string): string {
  return `${besidePrefix(stream)}:dedup:`;
}

/** Before what tells the event; names of groups have no slash, so that no two of them share a guard. */
export function guardPrefix(stream: string, group: string): string {
  return `${besidePrefix(stream)}:handled:${group}/`;
}

export function streamKeys(stream: string): StreamKeys {
  return {
    stream: wireText(stream),
    what: `append to ${stream}`,
    dedupPrefix: wireText(dedupPrefix(stream)),
    depth: besideKey(stream, 'depth'),
    full: besideKey(stream, 'full'),
  };
}
