--[[
  Stores a dead letter once. The first of two steps where stream and dead-letter stream lie in different hash slots of a
  Cluster: one Lua call cannot touch both, so the entry is acknowledged by a second one (acknowledge-owned-1).

  KEYS[1]   dead-letter stream
  KEYS[2]   deduplication key, in the dead-letter stream's hash slot: {<dead-letter stream>}:dedup:<origin>
  ARGV[1]   payload of the entry, raw bytes
  ARGV[2]   signature of the entry
  ARGV[3]   dead letters kept at most
  ARGV[4]   deduplication window, ms
  ARGV[5…]  further fields, name and value by turns

  Returns   1  stored, now or before
]]
-- include dead-letter
storeLetter(KEYS[1], KEYS[2], ARGV[1], ARGV[2], {}, ARGV[3], ARGV[4], 5)
return 1
