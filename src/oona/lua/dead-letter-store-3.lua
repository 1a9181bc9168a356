--[[
  Stores a dead letter once. The first of two steps where stream and dead-letter stream lie in different hash slots of a
  Cluster: one Lua call cannot touch both, so the entry is acknowledged by a second one (acknowledge-owned-1).

  KEYS[1]   dead-letter stream
  KEYS[2]   deduplication key, in the dead-letter stream's hash slot: {<dead-letter stream>}:dedup:<origin>
  KEYS[3]   what the letters take, in the same slot: {<dead-letter stream>}:bytes
  ARGV[1]   payload of the entry, raw bytes
  ARGV[2]   signature of the entry
  ARGV[3]   dead letters kept at most
  ARGV[4]   bytes that the dead letters take at most; 0: no bound
  ARGV[5]   deduplication window, ms
  ARGV[6…]  further fields, name and value by turns

  Returns   a code, and how many older letters went beyond the limits:
            1  stored, now or before
]]
-- include dead-letter
local limits = { count = ARGV[3], bytes = ARGV[4] }
local cut = storeLetter(KEYS[1], KEYS[3], KEYS[2], ARGV[1], ARGV[2], {}, limits, ARGV[5], 6)
return { 1, cut }
