--[[
  Stores one message once, unless the stream is too deep: deduplicates, looks at the depth, appends.

  KEYS[1]  stream
  KEYS[2]  deduplication key, in the stream's hash slot: {<stream>}:dedup:<id>
  KEYS[3]  depth estimate, in the stream's hash slot: {<stream>}:depth
  KEYS[4]  depth that was counted and found too large, in the same slot: {<stream>}:full
  ARGV[1]  payload, raw bytes
  ARGV[2]  signature
  ARGV[3]  deduplication window, ms; 0 = store always
  ARGV[4]  depth from which on nothing is stored; 1e308 = measure only

  Returns  {code, entry id, depth before}
           2  full: nothing stored, no entry id
           1  appended
           0  duplicate: the entry id is the first one's, no depth
]]
-- include stream-info
local stream, dedupKey, depthKey, fullKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local payload, signature = ARGV[1], ARGV[2]
local windowMs, limit = ARGV[3], tonumber(ARGV[4])

-- XINFO GROUPS takes 3 ms at 1,000 groups: once in this long, every append in between adds 1. So the estimate is
-- never too small, but too large while consumers are at work ...
local ESTIMATE_MS = 100
-- ... wherefore nothing is refused on it, but on a count that is no older than this.
local FULL_MS = 20
-- Entries looked at, where XINFO knows no lag and there is no limit to stop at.
local LOOK_LIMIT = 10000

local function countDepth()
  local depth = 0
  if redis.call('EXISTS', stream) == 0 then
    return depth
  end
  local info = streamInfo(stream)
  for _, group in ipairs(groupsOf(stream, info)) do
    local lag = group.lag
    if not lag then
      local looks = math.min(limit, info.length, limit < 1e15 and limit or LOOK_LIMIT)
      lag = countUpTo(stream, '(' .. group.last, '+', looks)
      -- There may be more: as many as there can be, so that the estimate is not too small.
      if lag == looks then
        lag = info.length
      end
    end
    depth = math.max(depth, lag + group.pending)
  end
  return depth
end

if windowMs ~= '0' then
  local first = redis.call('GET', dedupKey)
  if first then
    return { 0, first }
  end
end

-- Estimate and count are of no use to a replica or after a restart: they stay out of the replication and the AOF.
local function remember(key, depth, forMs)
  redis.set_repl(redis.REPL_NONE)
  redis.call('SET', key, string.format('%.0f', depth), 'PX', forMs)
  redis.set_repl(redis.REPL_ALL)
end

local depth = tonumber(redis.call('GET', depthKey) or nil)
if depth and depth >= limit then
  local counted = tonumber(redis.call('GET', fullKey) or nil)
  if counted and counted >= limit then
    return { 2, '', counted }
  end
  depth = nil
end
if not depth then
  depth = countDepth()
  remember(depthKey, depth, ESTIMATE_MS)
  if depth >= limit then
    remember(fullKey, depth, FULL_MS)
    return { 2, '', depth }
  end
end

local id = redis.call('XADD', stream, '*', 'payload', payload, 'signature', signature)

-- Only now. A script is not rolled back: were the key set before an XADD that fails (WRONGTYPE, OOM), every retry
-- would be told "duplicate" of an entry that does not exist.
if windowMs ~= '0' then
  redis.call('SET', dedupKey, id, 'PX', windowMs)
end
redis.set_repl(redis.REPL_NONE)
redis.call('INCR', depthKey)
return { 1, id, depth }
