--[[
  Gives entries that the consumer still owns back: they stay pending, as untouched for long and with the delivery counts
  that the call says, so that whoever claims next takes them over at once.

  KEYS[1]   stream
  ARGV[1]   group
  ARGV[2]   consumer
  ARGV[3]   idle time that they get, ms
  ARGV[4…]  entry id and delivery count of each, in order of the ids

  Returns   the ids that were owned
]]
-- include owned
local stream, group, consumer = KEYS[1], ARGV[1], ARGV[2]
local ids, counts = {}, {}
for i = 4, #ARGV, 2 do
  ids[#ids + 1] = ARGV[i]
  counts[ARGV[i]] = ARGV[i + 1]
end

local owned = ownedOf(stream, group, consumer, ids)
local mine = {}
for _, id in ipairs(ids) do
  if owned[id] then
    mine[#mine + 1] = id
    -- Not one that is gone: XCLAIM would drop it from the pending list before anybody has counted it as lost.
    if #redis.call('XRANGE', stream, id, id) > 0 then
      redis.call('XCLAIM', stream, group, consumer, 0, id, 'IDLE', ARGV[3], 'RETRYCOUNT', counts[id], 'JUSTID')
    end
  end
end
return mine
