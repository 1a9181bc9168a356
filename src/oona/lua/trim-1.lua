--[[
  Drops entries that are too old, by the server's clock: a publisher whose clock is ahead must not trim what nobody has
  read yet.

  KEYS[1]  stream
  ARGV[1]  age from which on entries are dropped, ms

  Returns  how many were dropped
]]
local now = redis.call('TIME')
local oldest = math.max(0, tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000) - tonumber(ARGV[1]))

-- "~" drops whole nodes only, which costs next to nothing; what stays too long is refused by age on reading.
return redis.call('XTRIM', KEYS[1], 'MINID', '~', string.format('%.0f', oldest))
