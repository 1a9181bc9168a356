/** What the sender tells a receiver process of the wake comparison. */
export type ToReceiver =
  /** Expect triggers numbered `first` to `first + count - 1`; report times relative to `originNs`. */
  | { readonly type: 'begin'; readonly first: number; readonly count: number; readonly originNs: string }
  /** All were sent: report when they are in, or what is in after a grace period. */
  | { readonly type: 'end' }
  /** The trigger itself, in the Node IPC variant. */
  | { readonly type: 'trigger'; readonly seq: number };

export type FromReceiver =
  | { readonly type: 'ready' }
  | { readonly type: 'begun' }
  /** Nanoseconds after `originNs` at which each callback was entered; null for a trigger that never came. */
  | { readonly type: 'arrivals'; readonly atNs: readonly (number | null)[] };

export const RECEIVER_KINDS = [
  'ours',
  'unix-socket',
  'node-ipc',
  'redis-pubsub',
  'redis-stream',
  'poll',
] as const;
export type ReceiverKind = (typeof RECEIVER_KINDS)[number];

/** Channel and stream of the Redis variants. */
export const REDIS_CHANNEL = 'bench.wake.channel';
export const REDIS_STREAM = 'bench.wake.stream';

/** Bytes of a message on the Unix socket: trigger number, then the sender's clock in ns, both 64-bit little endian. */
export const SOCKET_MESSAGE_BYTES = 16;

/** How often the polling variant looks at the flag, milliseconds. */
export const POLL_INTERVAL_MS = 100;
