--[[
  Library: what a consumer still owns.

  ownedOf(stream, group, consumer, ids)   delivery count by id, of those of `ids` (in order) that are pending in the
                                          group under this consumer's name; NOGROUP without the group
  eachPart(ids, act)                      act(from, to) for parts that fit on Lua's stack
  acknowledgeOwned(stream, group, consumer, ids)
                                          acknowledges those of `ids` (in order) that are still the consumer's; returns
                                          them; NOGROUP without the group
]]
local PART = 1000

local function ownedOf(stream, group, consumer, ids)
  local owned = {}
  -- One call for ids that lie side by side, as those of a batch do; what lies beyond its end is asked one by one.
  local limit = 2 * #ids
  local rows = redis.call('XPENDING', stream, group, ids[1], ids[#ids], limit, consumer)
  for _, row in ipairs(rows) do
    owned[row[1]] = row[4]
  end
  if #rows == limit then
    for _, id in ipairs(ids) do
      local row = not owned[id] and redis.call('XPENDING', stream, group, id, id, 1, consumer)[1]
      if row then
        owned[id] = row[4]
      end
    end
  end
  return owned
end

local function eachPart(ids, act)
  for from = 1, #ids, PART do
    act(from, math.min(from + PART - 1, #ids))
  end
end

local function acknowledgeOwned(stream, group, consumer, ids)
  local owned = ownedOf(stream, group, consumer, ids)
  local mine = {}
  for _, id in ipairs(ids) do
    if owned[id] then
      -- An id that is given twice is acknowledged once.
      owned[id] = nil
      mine[#mine + 1] = id
    end
  end
  eachPart(mine, function(from, to)
    redis.call('XACK', stream, group, unpack(mine, from, to))
  end)
  return mine
end
