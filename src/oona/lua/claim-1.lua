--[[
  Takes over entries that nobody touched for long: pages of XAUTOCLAIM up to the first with something in it, with the
  delivery counts that it made.

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
-- Pending entries looked at by one call, and what XAUTOCLAIM looks at for each one asked for.
local LOOKS, LOOKS_PER_ENTRY = 5000, 10

-- Empty pages are the usual case, where consumers live and have much in hand: they do not travel one by one.
local cursor, looks = ARGV[4], 0
local page
repeat
  page = redis.call('XAUTOCLAIM', stream, group, consumer, ARGV[3], cursor, 'COUNT', ARGV[5])
  cursor = page[1]
  looks = looks + LOOKS_PER_ENTRY * tonumber(ARGV[5])
until cursor == '0-0' or #page[2] > 0 or #(page[3] or {}) > 0 or looks >= LOOKS

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
return { cursor, entries, page[3] or {} }
