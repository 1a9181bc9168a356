/**
 * The scripts of src/oona/lua as this side calls them: keys, arguments and return codes, each named in order. A name
 * ends in its number of keys; `rest` says that any number of arguments follows. A test holds it against the files.
 */
export const LUA_SCRIPTS = Object.freeze({
  'append-2': {
    keys: ['stream', 'dedup'],
    args: ['payload', 'signature', 'dedupWindowMs'],
    codes: { duplicate: 0 },
  },
  'append-gated-4': {
    keys: ['stream', 'dedup', 'depth', 'full'],
    args: ['payload', 'signature', 'dedupWindowMs', 'depthLimit'],
    codes: { duplicate: 0, appended: 1, full: 2 },
  },
  'trim-2': {
    keys: ['stream', 'pace'],
    args: ['ttlMs', 'intervalMs', 'longestMs', 'groupPrefix'],
    codes: {},
  },
  'trim-acknowledged-1': { keys: ['stream'], args: ['ttlMs', 'maxLength'], codes: {} },
  'acknowledge-owned-1': { keys: ['stream'], args: ['group', 'consumer'], rest: 'entryIds', codes: {} },
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
  'dead-letter-3': {
    keys: ['stream', 'deadLetterStream', 'dedup'],
    args: ['group', 'consumer', 'entryId', 'given', 'payload', 'signature', 'maxLength', 'dedupWindowMs'],
    rest: 'fields',
    codes: { notOwned: 0, moved: 1, nothingToCopy: 2 },
  },
  'dead-letter-store-2': {
    keys: ['deadLetterStream', 'dedup'],
    args: ['payload', 'signature', 'maxLength', 'dedupWindowMs'],
    rest: 'fields',
    codes: { stored: 1 },
  },
  'depth-2': { keys: ['stream', 'answer'], args: ['countLimit', 'maxAgeMs'], codes: {} },
  'remove-consumer-1': { keys: ['stream'], args: ['group', 'consumer'], codes: { kept: 0, removed: 1 } },
} satisfies Record<string, LuaScript>);

export interface LuaScript {
  readonly keys: readonly string[];
  readonly args: readonly string[];
  readonly rest?: string;
  readonly codes: Readonly<Record<string, number>>;
}

export type LuaScriptName = keyof typeof LUA_SCRIPTS;
