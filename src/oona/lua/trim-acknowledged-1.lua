--[[
  Drops entries that every group has acknowledged and that are too old by the server's clock, then the oldest beyond a
  hard cap, whoever still needs them. A stream without groups: the oldest and what is beyond the cap.

  KEYS[1]  stream
  ARGV[1]  age from which on acknowledged entries are dropped, ms; 0 = none
  ARGV[2]  entries kept at most; 0 = no cap

  Returns  {dropped, of those the ones that a group had not acknowledged: the largest count over the groups}
]]
-- include stream-info
local stream, ttlMs, maxLength = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])

-- The first entry that the group still needs.
local function neededFrom(group)
  if group.pending > 0 then
    return redis.call('XPENDING', stream, group.name, '-', '+', 1)[1][1]
  end
  local ms, seq = string.match(group.last, '^(%d+)-(%d+)$')
  return ms .. '-' .. string.format('%.0f', tonumber(seq) + 1)
end

local function trimAcknowledged(groups)
  local now = redis.call('TIME')
  local oldest = math.max(0, tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000) - ttlMs)
  local keepFrom = string.format('%.0f-0', oldest)
  for _, group in ipairs(groups) do
    local needed = neededFrom(group)
    if isAfter(keepFrom, needed) then
      keepFrom = needed
    end
  end
  return redis.call('XTRIM', stream, 'MINID', '=', keepFrom)
end

-- Of the oldest `excess` entries those that the group was never given.
local function neverRead(group, info, excess)
  if group.lag then
    return math.max(0, excess - (info.length - group.lag))
  end
  return excess - countUpTo(stream, '-', group.last, excess)
end

local function countPending(group, from, before)
  local count = 0
  repeat
    local rows = redis.call('XPENDING', stream, group.name, from, '(' .. before, 1000)
    count = count + #rows
    from = #rows > 0 and '(' .. rows[#rows][1]
  until #rows < 1000
  return count
end

local function cutTo(groups, info)
  local excess = info.length - maxLength
  for _, group in ipairs(groups) do
    group.cut = neverRead(group, info, excess)
  end
  local dropped = redis.call('XTRIM', stream, 'MAXLEN', '=', maxLength)
  local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1][1]
  local unread = 0
  for _, group in ipairs(groups) do
    unread = math.max(unread, group.cut + countPending(group, info.first, first))
  end
  return dropped, unread
end

if redis.call('EXISTS', stream) == 0 then
  return { 0, 0 }
end
local removed, unread = 0, 0
if ttlMs > 0 then
  removed = trimAcknowledged(groupsOf(stream, streamInfo(stream)))
end
if maxLength > 0 and redis.call('XLEN', stream) > maxLength then
  local info = streamInfo(stream)
  local dropped
  dropped, unread = cutTo(groupsOf(stream, info), info)
  removed = removed + dropped
end
return { removed, unread }
