--[[
  Removes a consumer that has nothing pending: XGROUP DELCONSUMER alone forgets whose its entries were.

  KEYS[1]  stream
  ARGV[1]  group
  ARGV[2]  consumer

  Returns  1  removed
           0  kept: it has something pending, or is not there
]]
local stream, group, name = KEYS[1], ARGV[1], ARGV[2]
for _, reply in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
  local consumer = {}
  for i = 1, #reply, 2 do
    consumer[reply[i]] = reply[i + 1]
  end
  if consumer['name'] == name and consumer['pending'] == 0 then
    redis.call('XGROUP', 'DELCONSUMER', stream, group, name)
    return 1
  end
end
return 0
