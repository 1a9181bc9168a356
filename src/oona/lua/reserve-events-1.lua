#!lua flags=allow-oom
--[[
  Asks for events whether they may be handled under their entry ids, and reserves those that may. Without memory too:
  what fills Redis may be what waits here, and only handling it makes room.

  A guard's value is "?" and an entry id while that entry is to be handled, the entry id alone once it was. A reservation
  counts for as long as its entry is pending in the group: whatever ends the entry without its being handled ends that
  too, in the same step, and the death of a consumer does not.

  KEYS[1]   stream
  KEYS[2…]  guards, in the stream's hash slot: {<stream>}:handled:<group>/<event>; in the order of the entry ids
  ARGV[1]   group
  ARGV[2]   how long a guard stays, ms
  ARGV[3…]  entry ids

  Returns   a code for each entry id
            0  new: reserved for it, now or before
            1  redelivery: the event was handled under this entry id
            2  replay: it was handled under another
            3  busy: reserved for another that is still pending, or the guard's key holds something else
]]
local stream, group, windowMs = KEYS[1], ARGV[1], ARGV[2]
local NEW, REDELIVERY, REPLAY, BUSY = 0, 1, 2, 3

local function isPending(id)
  -- Fails without the group, where nothing is pending.
  local rows = redis.pcall('XPENDING', stream, group, id, id, 1)
  if rows.err and not string.find(rows.err, '^NOGROUP') then
    error(rows)
  end
  return not rows.err and #rows > 0
end

local function askFor(guard, id)
  local mine = '?' .. id
  local found = redis.pcall('SET', guard, mine, 'NX', 'GET', 'PX', windowMs)
  if type(found) == 'table' and found.err then
    -- What somebody else put there holds up this event, not those that are asked for with it.
    return string.find(found.err, '^WRONGTYPE') and BUSY or error(found)
  end
  if not found or found == mine then
    return NEW
  end
  local holder = string.match(found, '^%?(.*)')
  if not holder then
    return found == id and REDELIVERY or REPLAY
  end
  if isPending(holder) then
    return BUSY
  end
  redis.call('SET', guard, mine, 'PX', windowMs)
  return NEW
end

local codes = {}
for i = 3, #ARGV do
  codes[i - 2] = askFor(KEYS[i - 1], ARGV[i])
end
return codes
