/**
 * The scripts of src/oona/lua as this side calls them: keys, arguments and return codes, each named in order. A name
 * ends in its number of keys; `restKeys` says that any number of keys follows, `rest` the same of arguments. A test holds
 * it against the files.
 */
export const LUA_SCRIPTS = Object.freeze({
  'append-2': {
    keys: ['stream', 'dedup'],
    args: ['payload', 'signature', 'dedupWindowMs'],
    codes: { duplicate: 0, moved: 3 },
  },
  'append-gated-4': {
    keys: ['stream', 'dedup', 'depth', 'full'],
    args: ['payload', 'signature', 'dedupWindowMs', 'depthLimit', 'moveBelow'],
    codes: { duplicate: 0, appended: 1, full: 2, moved: 3 },
  },
  'trim-2': {
    keys: ['stream', 'pace'],
    args: ['ttlMs', 'intervalMs', 'longestMs', 'groupPrefix'],
    codes: {},
  },
  'trim-acknowledged-1': { keys: ['stream'], args: ['ttlMs', 'maxLength'], codes: {} },
  'acknowledge-owned-1': { keys: ['stream'], args: ['group', 'consumer'], rest: 'entryIds', codes: {} },
  'acknowledge-handled-1': {
    keys: ['stream'],
    restKeys: 'guards',
    args: ['group', 'consumer', 'windowMs'],
    rest: 'entryIds',
    codes: {},
  },
  'reserve-events-1': {
    keys: ['stream'],
    restKeys: 'guards',
    args: ['group', 'windowMs'],
    rest: 'entryIds',
    codes: {},
    eachCodes: { new: 0, redelivery: 1, replay: 2, busy: 3 },
  },
  'redeliver-1': { keys: ['stream'], args: ['group', 'consumer'], rest: 'entryIds', codes: {} },
  'extend-lease-1': { keys: ['stream'], args: ['group', 'consumer'], rest: 'entryIds', codes: {} },
  'give-back-1': {
    keys: ['stream'],
    args: ['group', 'consumer', 'idleMs'],
    rest: 'entryIdsAndCounts',
    codes: {},
  },
  'claim-1': {
    keys: ['stream'],
    args: ['group', 'consumer', 'minIdleMs', 'cursor', 'count'],
    codes: {},
  },
  'dead-letter-4': {
    keys: ['stream', 'deadLetterStream', 'dedup', 'bytes'],
    args: [
      ...['group', 'consumer', 'entryId', 'given', 'payload', 'signature'],
      ...['maxLength', 'maxBytes', 'dedupWindowMs'],
    ],
    rest: 'fields',
    codes: { notOwned: 0, moved: 1, nothingToCopy: 2 },
  },
  'dead-letter-store-3': {
    keys: ['deadLetterStream', 'dedup', 'bytes'],
    args: ['payload', 'signature', 'maxLength', 'maxBytes', 'dedupWindowMs'],
    rest: 'fields',
    codes: { stored: 1 },
  },
  'depth-2': { keys: ['stream', 'answer'], args: ['countLimit', 'maxAgeMs'], codes: {} },
  'remove-consumer-1': { keys: ['stream'], args: ['group', 'consumer'], codes: { kept: 0, removed: 1 } },
} satisfies Record<string, LuaScript>);

export interface LuaScript {
  readonly keys: readonly string[];
  readonly restKeys?: string;
  readonly args: readonly string[];
  readonly rest?: string;
  readonly codes: Readonly<Record<string, number>>;
  /** Of scripts that answer with a code for each of what was asked. */
  readonly eachCodes?: Readonly<Record<string, number>>;
}

export type LuaScriptName = keyof typeof LUA_SCRIPTS;
