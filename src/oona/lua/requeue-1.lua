--[[
  Appends the entry again at the end and acknowledges the old one, if the consumer still owns it.

  KEYS[1]  stream
  ARGV[1]  group
  ARGV[2]  consumer
  ARGV[3]  entry id
  ARGV[4]  payload of the entry, raw bytes
  ARGV[5]  signature of the entry

  Returns  1  moved
           0  not owned: nothing changed
]]
local stream, group, consumer, id = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
if #redis.call('XPENDING', stream, group, id, id, 1, consumer) == 0 then
  return 0
end
-- In this order: a script is not rolled back when the XADD is refused (OOM).
redis.call('XADD', stream, '*', 'payload', ARGV[4], 'signature', ARGV[5])
redis.call('XACK', stream, group, id)
return 1
