--[[
  Sets the idle time of the entries that the consumer still owns to 0; delivery counts stay.

  KEYS[1]   stream
  ARGV[1]   group
  ARGV[2]   consumer
  ARGV[3…]  entry ids, in order

  Returns   the ids that are still owned
]]
-- include owned
-- include stream-info
local stream, group, consumer = KEYS[1], ARGV[1], ARGV[2]
local ids = {}
for i = 3, #ARGV do
  ids[i - 2] = ARGV[i]
end

local owned = ownedOf(stream, group, consumer, ids)
local info = streamInfo(stream)

local function isStored(id)
  if not info.first or isAfter(info.first, id) then
    return false
  end
  if info.deleted and isAfter(id, info.deleted) then
    return true
  end
  return #redis.call('XRANGE', stream, id, id) > 0
end

local mine, stored = {}, {}
for _, id in ipairs(ids) do
  if owned[id] then
    mine[#mine + 1] = id
    -- XCLAIM drops what was trimmed away from the pending list, and the acknowledgement would find no owner.
    if isStored(id) then
      stored[#stored + 1] = id
    end
  end
end
eachPart(stored, function(from, to)
  local claim = { 'XCLAIM', stream, group, consumer, 0 }
  for i = from, to do
    claim[#claim + 1] = stored[i]
  end
  claim[#claim + 1] = 'JUSTID'
  redis.call(unpack(claim))
end)
return mine
