--[[
  Library: storing dead letters.

  storeLetter(letters, dedupKey, payload, signature, others, maxLength, windowMs, from)
      stores one unless its origin has one; ARGV from index `from` on are further fields, name and value by turns, and
      so are `others`: what the original has besides payload and signature, as it calls them
]]
-- What is unpacked must fit on Lua's stack, and who sends an entry of a million fields must not keep it pending.
local MOST_OTHERS = 100

local function storeLetter(letters, dedupKey, payload, signature, others, maxLength, windowMs, from)
  if redis.call('EXISTS', dedupKey) == 1 then
    return
  end
  local add = { 'XADD', letters, 'MAXLEN', '=', maxLength, '*', 'payload', payload, 'signature', signature }
  for i = from, #ARGV do
    add[#add + 1] = ARGV[i]
  end
  for i = 1, math.min(#others, 2 * MOST_OTHERS), 2 do
    add[#add + 1] = 'original.' .. others[i]
    add[#add + 1] = others[i + 1]
  end
  local id = redis.call(unpack(add))
  redis.call('SET', dedupKey, id, 'PX', windowMs)
end
