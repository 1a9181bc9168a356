--[[
  Stores the dead letter of an entry and acknowledges the entry, once, if the consumer still owns it.

  KEYS[1]   stream
  KEYS[2]   dead-letter stream
  KEYS[3]   deduplication key, in the dead-letter stream's hash slot: {<dead-letter stream>}:dedup:<origin>
  ARGV[1]   group
  ARGV[2]   consumer
  ARGV[3]   entry id
  ARGV[4]   payload of the entry, raw bytes
  ARGV[5]   signature of the entry
  ARGV[6]   dead letters kept at most
  ARGV[7]   deduplication window, ms
  ARGV[8…]  further fields, name and value by turns

  Returns   1  moved, now or by an earlier call whose answer was lost
            0  not owned: nothing changed
]]
-- include dead-letter
local stream, group, consumer, id = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local owned = #redis.call('XPENDING', stream, group, id, id, 1, consumer) > 0

if not owned and redis.call('EXISTS', KEYS[3]) == 0 then
  return 0
end
-- The letter first. A script is not rolled back: were the XADD refused after the XACK (OOM), nobody had the entry.
if owned then
  storeLetter(KEYS[2], KEYS[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], 8)
  redis.call('XACK', stream, group, id)
end
return 1
