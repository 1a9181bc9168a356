--[[
  Drops emergencies that are too old. Groups of hosts pin nothing: an old emergency is of no use to a host. Other groups
  read work that was put among the emergencies because it is urgent; what they have not acknowledged stays longer, but
  not for ever, or a group that nobody reads would pin the emergencies. A stream without groups is trimmed by age alone.

  KEYS[1]  stream
  KEYS[2]  pace, in the stream's hash slot: {<stream>}:trim; the time to live of the last trim
  ARGV[1]  age from which on entries are dropped, ms
  ARGV[2]  at most so often, whichever host asks, ms: one look at a thousand groups takes 3 ms
  ARGV[3]  age from which on entries are dropped whoever has not acknowledged them, ms
  ARGV[4]  how names of groups that pin nothing begin

  Returns  {dropped, of those the ones that a group that pins had not acknowledged: the largest count over the groups}
]]
-- include stream-info
-- include trimming
local stream, paceKey = KEYS[1], KEYS[2]
local ttlMs, intervalMs, longestMs, prefix = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), ARGV[4]
-- Entries dropped by one call, at most; fewer when those that a group was given must be counted one by one.
local STEP, COUNTED_STEP = 10000, 1000

if redis.call('XLEN', stream) == 0 then
  return { 0, 0 }
end
-- Another host has just trimmed as much.
local paced = tonumber(redis.call('GET', paceKey) or nil)
if paced and paced <= ttlMs then
  return { 0, 0 }
end
-- Of no use to a replica or after a restart.
redis.set_repl(redis.REPL_NONE)
redis.call('SET', paceKey, ARGV[1], 'PX', intervalMs)
redis.set_repl(redis.REPL_ALL)

local info = streamInfo(stream)
local tooOld, farTooOld = idAt(ttlMs), idAt(longestMs)
if not isAfter(tooOld, info.first) then
  return { 0, 0 }
end

local keepFrom, step, cutOff = tooOld, STEP, {}
for _, group in ipairs(groupsOf(stream, info)) do
  if string.sub(group.name, 1, #prefix) ~= prefix then
    local needed = neededFrom(stream, group)
    if isAfter(keepFrom, needed) then
      keepFrom = needed
    end
    if isAfter(farTooOld, needed) then
      cutOff[#cutOff + 1] = group
      step = group.lag and step or COUNTED_STEP
    end
  end
end
if isAfter(farTooOld, keepFrom) then
  keepFrom = farTooOld
end
for _, group in ipairs(cutOff) do
  group.read = readOf(stream, group, info, step)
end

-- "~" drops whole nodes only, which costs next to nothing; what stays too long is refused by age on reading.
local dropped = redis.call('XTRIM', stream, 'MINID', '~', keepFrom, 'LIMIT', step)
local unread = 0
if dropped > 0 then
  for _, group in ipairs(cutOff) do
    unread = math.max(unread, math.max(0, dropped - group.read) + cutPending(stream, group, info))
  end
end
return { dropped, unread }
