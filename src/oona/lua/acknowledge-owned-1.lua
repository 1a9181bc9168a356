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

return acknowledgeOwned(stream, group, consumer, ids)
