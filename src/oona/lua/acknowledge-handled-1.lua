#!lua flags=allow-oom
--[[
  Remembers events as handled, each under its entry id, and acknowledges those of the entries that the consumer still
  owns. The events of the others are remembered all the same: they were handled.

  KEYS[1]   stream
  KEYS[2…]  guards, in the stream's hash slot: {<stream>}:handled:<group>/<event>; in the order of the entry ids
  ARGV[1]   group
  ARGV[2]   consumer
  ARGV[3]   how long a guard stays, ms
  ARGV[4…]  entry ids, in order

  Returns   the ids that were acknowledged
]]
-- include owned
local stream, group, consumer, windowMs = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local ids = {}
for i = 4, #ARGV do
  ids[i - 3] = ARGV[i]
end

-- First. A script is not rolled back: were one refused after the XACK, the event could be replayed. And without the
-- group the next line fails, but what was handled was handled. Where memory is out too (allow-oom): it takes the place of
-- the reservation, and an acknowledgement that waited for memory would keep the entry from being trimmed.
for i, id in ipairs(ids) do
  redis.call('SET', KEYS[i + 1], id, 'PX', windowMs)
end

return acknowledgeOwned(stream, group, consumer, ids)
