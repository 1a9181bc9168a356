--[[
  Acknowledges those of the entries that the consumer still owns: a late answer of a former owner changes nothing.

  KEYS[1]   stream
  ARGV[1]   group
  ARGV[2]   consumer
  ARGV[3…]  entry ids, in order

  Returns   the ids that were acknowledged
]]
-- include owned
local stream, group, consumer = KEYS[1], ARGV[1], ARGV[2]
local ids = {}
for i = 3, #ARGV do
  ids[i - 2] = ARGV[i]
end

local owned = ownedOf(stream, group, consumer, ids)
local mine = {}
for _, id in ipairs(ids) do
  if owned[id] then
    owned[id] = nil
    mine[#mine + 1] = id
  end
end
eachPart(mine, function(from, to)
  redis.call('XACK', stream, group, unpack(mine, from, to))
end)
return mine
