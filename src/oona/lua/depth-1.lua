--[[
  How deep a stream is, group by group.

  KEYS[1]  stream
  ARGV[1]  entries looked at per group, at most, where XINFO knows no lag

  Returns  {length, {group, lag, 1 when there may be more than that, pending} of each group}
]]
-- include stream-info
local stream, limit = KEYS[1], tonumber(ARGV[1])
if redis.call('EXISTS', stream) == 0 then
  return { 0, {} }
end
local info = streamInfo(stream)
local groups = {}
for i, group in ipairs(groupsOf(stream, info)) do
  local lag, isLowerBound = group.lag, 0
  if not lag then
    lag = countUpTo(stream, '(' .. group.last, '+', limit)
    isLowerBound = (lag == limit and lag < info.length) and 1 or 0
  end
  groups[i] = { group.name, lag, isLowerBound, group.pending }
end
return { info.length, groups }
