--[[
  Library: what a trim must keep, and what it has cut. Needs stream-info.

  idAt(ageMs)            the id of an entry of that age, by the server's clock: a publisher whose clock is ahead must not
                         trim what nobody has read yet
  neededFrom(stream, group)    the first id that the group has not acknowledged
  readOf(stream, group, info, limit)   how many of the stored entries the group was ever given, at most limit
  cutPending(stream, group, info)      pending entries of the group that went since `info` was taken
]]
local function idAt(ageMs)
  local now = redis.call('TIME')
  local atMs = math.max(0, tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000) - ageMs)
  return string.format('%.0f-0', atMs)
end

local function neededFrom(stream, group)
  if group.pending > 0 then
    return redis.call('XPENDING', stream, group.name, '-', '+', 1)[1][1]
  end
  local ms, seq = string.match(group.last, '^(%d+)-(%d+)$')
  return ms .. '-' .. string.format('%.0f', tonumber(seq) + 1)
end

local function readOf(stream, group, info, limit)
  if group.lag then
    return info.length - group.lag
  end
  return countUpTo(stream, '-', group.last, limit)
end

local function cutPending(stream, group, info)
  local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
  local from, to, count = info.first, first and '(' .. first[1] or '+', 0
  repeat
    local rows = redis.call('XPENDING', stream, group.name, from, to, 1000)
    count = count + #rows
    from = #rows > 0 and '(' .. rows[#rows][1]
  until #rows < 1000
  return count
end
