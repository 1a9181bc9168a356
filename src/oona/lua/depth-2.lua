--[[
  How deep a stream is, group by group: counted now, or what another host has just been told.

  KEYS[1]  stream
  KEYS[2]  the last answer, in the stream's hash slot: {<stream>}:depths
  ARGV[1]  entries looked at per group, at most, where XINFO knows no lag
  ARGV[2]  age that an answer may have, ms; 0 = count now. An answer that took long to count is given for longer

  Returns  {length, {group, lag, 1 when there may be more than that, pending} of each group}
]]
-- include stream-info
local stream, answerKey = KEYS[1], KEYS[2]
local limit, maxAgeMs = tonumber(ARGV[1]), tonumber(ARGV[2])

local now = nowMs()
if maxAgeMs > 0 then
  local packed = redis.call('GET', answerKey)
  local told = packed and cmsgpack.unpack(packed)
  if told and told.limit >= limit and math.abs(now - told.atMs) <= math.max(maxAgeMs, told.keepMs) then
    return { told.length, told.groups }
  end
end
if redis.call('EXISTS', stream) == 0 then
  return { 0, {} }
end

local info = streamInfo(stream)
local groups, looked = {}, 0
for i, group in ipairs(groupsOf(stream, info)) do
  local lag, isLowerBound = group.lag, 0
  if not lag then
    lag = countUpTo(stream, '(' .. group.last, '+', limit)
    looked = looked + lag
    isLowerBound = (lag == limit and lag < info.length) and 1 or 0
  end
  groups[i] = { group.name, lag, isLowerBound, group.pending }
end

if maxAgeMs > 0 then
  local keepMs = keepFor(looked, now)
  local answer = { limit = limit, atMs = now, keepMs = keepMs, length = info.length, groups = groups }
  -- Of no use to a replica or after a restart.
  redis.set_repl(redis.REPL_NONE)
  redis.call('SET', answerKey, cmsgpack.pack(answer), 'PX', math.max(maxAgeMs, keepMs))
  redis.set_repl(redis.REPL_ALL)
end
return { info.length, groups }
