--[[
  Library: storing dead letters.

  storeLetter(letters, dedupKey, payload, signature, maxLength, windowMs, from)
      stores one unless its origin has one; ARGV from index `from` on are further fields, name and value by turns
]]
local function storeLetter(letters, dedupKey, payload, signature, maxLength, windowMs, from)
  if redis.call('EXISTS', dedupKey) == 1 then
    return
  end
  local add = { 'XADD', letters, 'MAXLEN', '=', maxLength, '*', 'payload', payload, 'signature', signature }
  for i = from, #ARGV do
    add[#add + 1] = ARGV[i]
  end
  local id = redis.call(unpack(add))
  redis.call('SET', dedupKey, id, 'PX', windowMs)
end
