--[[
  Drops entries that every group has acknowledged and that are too old by the server's clock, then the oldest beyond a
  hard cap, whoever still needs them. A stream without groups has nobody to wait for: what is too old goes unread, and
  is not counted as such. One call drops a bounded number: the caller calls again.

  KEYS[1]  stream
  ARGV[1]  age from which on acknowledged entries are dropped, ms; 0 = none
  ARGV[2]  entries kept at most; 0 = no cap

  Returns  {dropped, of those the ones that a group had not acknowledged: the largest count over the groups,
            1 when there is more to drop}
]]
-- include stream-info
-- include trimming
local stream, ttlMs, maxLength = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
-- Entries dropped by one call, about; fewer when those that a group was given must be counted one by one.
local STEP, COUNTED_STEP = 10000, 1000

local function trimAcknowledged(groups)
  local keepFrom = idAt(ttlMs)
  for _, group in ipairs(groups) do
    local needed = neededFrom(stream, group)
    if isAfter(keepFrom, needed) then
      keepFrom = needed
    end
  end
  -- "=" takes no LIMIT, so whole nodes first; when these are done, what is left lies in one node.
  local dropped = redis.call('XTRIM', stream, 'MINID', '~', keepFrom, 'LIMIT', STEP)
  if dropped >= STEP / 2 then
    return dropped, 1
  end
  return dropped + redis.call('XTRIM', stream, 'MINID', '=', keepFrom), 0
end

local function cutTo(groups, info)
  local excess, step = info.length - maxLength, STEP
  for _, group in ipairs(groups) do
    step = group.lag and step or COUNTED_STEP
  end
  local dropped = math.min(excess, step)
  for _, group in ipairs(groups) do
    group.read = readOf(stream, group, info, dropped)
  end
  redis.call('XTRIM', stream, 'MAXLEN', '=', info.length - dropped)
  local unread = 0
  for _, group in ipairs(groups) do
    unread = math.max(unread, math.max(0, dropped - group.read) + cutPending(stream, group, info))
  end
  return dropped, unread, dropped < excess and 1 or 0
end

if redis.call('EXISTS', stream) == 0 then
  return { 0, 0, 0 }
end
local removed, unread, more = 0, 0, 0
if ttlMs > 0 then
  removed, more = trimAcknowledged(groupsOf(stream, streamInfo(stream)))
end
if more == 0 and maxLength > 0 and redis.call('XLEN', stream) > maxLength then
  local info = streamInfo(stream)
  local dropped
  dropped, unread, more = cutTo(groupsOf(stream, info), info)
  removed = removed + dropped
end
return { removed, unread, more }
