--[[
  Stores one message once, unless the stream is too deep: deduplicates, looks at the depth, appends.

  KEYS[1]  stream
  KEYS[2]  deduplication key, in the stream's hash slot: {<stream>}:dedup:<id>
  KEYS[3]  depth estimate, in the stream's hash slot: {<stream>}:depth
  KEYS[4]  depth that was counted, at least, in the same slot: {<stream>}:full; when it was too large or took long
  ARGV[1]  payload, raw bytes
  ARGV[2]  signature
  ARGV[3]  deduplication window, ms; 0 = store always
  ARGV[4]  depth from which on nothing is stored; 1e308 = measure only
  ARGV[5]  depth up to which a message that is not stored goes to another stream; 0 = it does not

  Returns  {code, entry id, depth before}
           3  moved: the message goes to another stream, because an earlier append of it was refused and said so; no
              entry id, no depth
           2  full: nothing stored, no entry id; the depth was counted, and is that at least
           1  appended; the depth is that at most
           0  duplicate: the entry id is the first one's, no depth
]]
-- include stream-info
local stream, dedupKey, depthKey, fullKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local payload, signature = ARGV[1], ARGV[2]
local windowMs, limit, moveBelow = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

-- XINFO GROUPS takes 3 ms at 1,000 groups: once in this long, every append in between adds 1. So the estimate is
-- never too small, but too large while consumers are at work ...
local ESTIMATE_MS = 100
-- ... wherefore nothing is refused on it, but on a count that is no older than this, unless it took long.
local FULL_MS = 20
-- Entries looked at per group, where XINFO knows no lag: of a group that began in the middle, or after an XDEL.
local LOOKS = 1000

-- At least, at most, entries looked at. Where XINFO knows the lags both are exact. Where it does not, and there are more
-- than LOOKS, "at most" is all that is stored; only when that reaches the limit the count goes on up to the limit.
local function countDepth()
  local atLeast, atMost, looked = 0, 0, 0
  if redis.call('EXISTS', stream) == 0 then
    return atLeast, atMost, looked
  end
  local info = streamInfo(stream)
  for _, group in ipairs(groupsOf(stream, info)) do
    local least, most = group.lag, group.lag
    if not least then
      local from
      least, from = countUpTo(stream, '(' .. group.last, '+', LOOKS)
      most = least
      if least == LOOKS then
        most = info.length
        local missing = limit - group.pending - least
        if missing > 0 and most + group.pending >= limit then
          local further = countUpTo(stream, '(' .. from, '+', missing)
          least = least + further
          most = further < missing and least or most
        end
      end
      looked = looked + least
    end
    atLeast = math.max(atLeast, least + group.pending)
    atMost = math.max(atMost, most + group.pending)
  end
  return atLeast, atMost, looked
end

if windowMs ~= '0' then
  local first = redis.call('GET', dedupKey)
  if first == '>' then
    return { 3, '' }
  end
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

-- In the same step as the refusal, and in its place: whoever tries again, here or in another process, when there is room
-- again, must go the same way, or the message is stored on both streams.
local function markMoved(depth)
  if depth < moveBelow and windowMs ~= '0' then
    redis.call('SET', dedupKey, '>', 'PX', windowMs)
  end
end

local depth = tonumber(redis.call('GET', depthKey) or nil)
if depth and depth >= limit then
  local counted = tonumber(redis.call('GET', fullKey) or nil)
  if counted and counted >= limit then
    markMoved(counted)
    return { 2, '', counted }
  end
  -- A long count has just found room: it is not made again for a while, and what comes meanwhile is stored.
  if not counted then
    depth = nil
  end
end
if not depth then
  local since = nowMs()
  local atLeast, atMost, looked = countDepth()
  local keepMs = keepFor(looked, since)
  depth = atMost
  remember(depthKey, depth, math.max(ESTIMATE_MS, keepMs))
  if atLeast >= limit then
    remember(fullKey, atLeast, math.max(FULL_MS, keepMs))
    markMoved(atLeast)
    return { 2, '', atLeast }
  end
  if looked > LOOKS then
    remember(fullKey, atLeast, keepMs)
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
