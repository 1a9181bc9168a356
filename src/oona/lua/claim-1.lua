--[[
  Takes over entries that nobody touched for long: one page of XAUTOCLAIM, with the delivery counts that it made.

  KEYS[1]  stream
  ARGV[1]  group
  ARGV[2]  consumer
  ARGV[3]  idle time from which on an entry is taken over, ms
  ARGV[4]  where the page before ended; 0-0 to begin
  ARGV[5]  entries at most

  Returns  {cursor of the next page, 0-0 after the last; {entry id, fields, delivery count} of each;
           ids that were trimmed away and have left the pending list}
]]
-- include owned
local stream, group, consumer = KEYS[1], ARGV[1], ARGV[2]
local page = redis.call('XAUTOCLAIM', stream, group, consumer, ARGV[3], ARGV[4], 'COUNT', ARGV[5])

local ids, entries = {}, page[2]
for i, entry in ipairs(entries) do
  ids[i] = entry[1]
end
if #ids > 0 then
  local counts = ownedOf(stream, group, consumer, ids)
  for _, entry in ipairs(entries) do
    entry[3] = counts[entry[1]]
  end
end
return { page[1], entries, page[3] or {} }
