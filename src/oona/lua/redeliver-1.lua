--[[
  Hands entries that the consumer still owns to it once more: delivery count + 1, idle time 0.

  KEYS[1]   stream
  ARGV[1]   group
  ARGV[2]   consumer
  ARGV[3…]  entry ids, in order

  Returns   {entry id, fields, delivery count} of each that is owned; no fields when it was trimmed away
]]
-- include owned
local stream, group, consumer = KEYS[1], ARGV[1], ARGV[2]
local ids = {}
for i = 3, #ARGV do
  ids[i - 2] = ARGV[i]
end

local owned = ownedOf(stream, group, consumer, ids)
local entries = {}
for _, id in ipairs(ids) do
  local count = owned[id]
  if count then
    local entry = redis.call('XRANGE', stream, id, id)[1]
    -- Not for one that is gone: XCLAIM would drop it from the pending list before its owner has counted it as lost.
    if entry then
      count = count + 1
      redis.call('XCLAIM', stream, group, consumer, 0, id, 'RETRYCOUNT', count, 'JUSTID')
    end
    entries[#entries + 1] = { id, entry and entry[2] or {}, count }
  end
end
return entries
