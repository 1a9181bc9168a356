--[[
  Stores the dead letter of an entry and acknowledges the entry, once, if the consumer still owns it.

  KEYS[1]   stream
  KEYS[2]   dead-letter stream
  KEYS[3]   deduplication key, in the dead-letter stream's hash slot: {<dead-letter stream>}:dedup:<origin>
  KEYS[4]   what the letters take, in the same slot: {<dead-letter stream>}:bytes
  ARGV[1]   group
  ARGV[2]   consumer
  ARGV[3]   entry id
  ARGV[4]   1: payload and signature follow; 0: they are copied from the entry, for they may be large
  ARGV[5]   payload of the entry, raw bytes
  ARGV[6]   signature of the entry
  ARGV[7]   dead letters kept at most
  ARGV[8]   bytes that the dead letters take at most; 0: no bound
  ARGV[9]   deduplication window, ms
  ARGV[10…]  further fields, name and value by turns

  Returns   a code, and how many older letters went beyond the limits:
            2  nothing to copy, the entry was trimmed: nothing changed
            1  moved, now or by an earlier call whose answer was lost
            0  not owned: nothing changed
]]
-- include dead-letter
local stream, group, consumer, id = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local payload, signature, others = ARGV[5], ARGV[6], {}
local owned = #redis.call('XPENDING', stream, group, id, id, 1, consumer) > 0
local isStored = redis.call('EXISTS', KEYS[3]) == 1

if not owned and not isStored then
  return { 0, 0 }
end
if not isStored and ARGV[4] == '0' then
  local entry = redis.call('XRANGE', stream, id, id)[1]
  if not entry then
    return { 2, 0 }
  end
  -- Of a peer that has more fields, or another order, the last of each name counts, as its readers take it.
  local fields = entry[2]
  for i = 1, #fields, 2 do
    if fields[i] == 'payload' then
      payload = fields[i + 1]
    elseif fields[i] == 'signature' then
      signature = fields[i + 1]
    else
      others[#others + 1] = fields[i]
      others[#others + 1] = fields[i + 1]
    end
  end
end
-- The letter first. A script is not rolled back: were the XADD refused after the XACK (OOM), nobody had the entry.
local cut, limits = 0, { count = ARGV[7], bytes = ARGV[8] }
if owned then
  cut = storeLetter(KEYS[2], KEYS[4], KEYS[3], payload, signature, others, limits, ARGV[9], 10)
  redis.call('XACK', stream, group, id)
end
return { 1, cut }
