--[[
  Library: storing dead letters.

  storeLetter(letters, sizeKey, dedupKey, payload, signature, others, limits, windowMs, from)
      stores one unless its origin has one; ARGV from index `from` on are further fields, name and value by turns, and
      so are `others`: what the original has besides payload and signature, as it calls them. Returns how many of the
      oldest letters went beyond `limits`, { count, bytes }; bytes 0: no bound. Never the one just stored.

  What the letters take is measured by MEMORY USAGE … SAMPLES 0, which walks the nodes of the stream and no contents:
  60 µs for 10,000 letters of 1 KiB, 270 µs for as many of 10 KiB, 620 µs for 100,000 of 1 KiB (Redis 7.0.15). Too much
  for every letter, so sizeKey has the last measure and the most that the letters since can take: while that is under the
  bound, nothing is measured. Storing one of 10,000 letters of 1 KiB took 15-17 µs without the bound, 16-21 within it and
  17-26 at it, the longest call at it 1.5 ms (6 ms of 100,000). A user who may not run MEMORY USAGE has it estimated, and
  more may go than must.
]]
-- What is unpacked must fit on Lua's stack, and who sends an entry of a million fields must not keep it pending.
local MOST_OTHERS = 100
-- At most what a letter takes, for each byte of its names and values and besides: the allocator rounds up by a quarter.
local TAKES, TAKES_BESIDES = 1.25, 512
-- Beyond the bound so much of it is kept: were it all, every letter from then on would be measured and cut for.
local KEPT = 31 / 32
-- A measure is trusted so long: letters that others removed, or an older version added, are in no estimate.
local TRUSTED_MS = 60000
-- After each cut it is measured what is left: of so many letters in one call, which takes some milliseconds at most. Where
-- that is not enough, after a lowered bound, the rest goes with the next letters.
local MOST_WALKED = 400000

local function measure(letters)
  local used = redis.pcall('MEMORY', 'USAGE', letters, 'SAMPLES', '0')
  return type(used) == 'number' and used or nil
end

local function cutToBytes(letters, sizeKey, added, maxBytes)
  -- Something else than a string there is no estimate, and is written over.
  local known = tonumber(redis.pcall('GET', sizeKey) or nil)
  local most = (known or 0) + added * TAKES + TAKES_BESIDES
  if known and most <= maxBytes then
    redis.call('SET', sizeKey, string.format('%.0f', most), 'KEEPTTL')
    return 0
  end
  local measured = measure(letters)
  local used, length = measured or most, redis.call('XLEN', letters)
  local goal = used > maxBytes and maxBytes * KEPT or maxBytes
  -- The oldest may be the one that is large; then as many as it takes on average, but not many unlooked.
  local cut, step, walked = 0, 1, 0
  while used > goal and length > 1 and walked < MOST_WALKED do
    redis.call('XTRIM', letters, 'MAXLEN', '=', length - step)
    used = measured and measure(letters) or used * (length - step) / length
    length, cut = length - step, cut + step
    walked = walked + length
    step = math.max(1, math.min(math.ceil((used - goal) * length / used), math.ceil(length / 64), length - 1))
  end
  if measured then
    redis.call('SET', sizeKey, string.format('%.0f', used), 'PX', TRUSTED_MS)
  else
    redis.call('SET', sizeKey, string.format('%.0f', used))
  end
  return cut
end

local function storeLetter(letters, sizeKey, dedupKey, payload, signature, others, limits, windowMs, from)
  if redis.call('EXISTS', dedupKey) == 1 then
    return 0
  end
  local add = { 'XADD', letters, 'MAXLEN', '=', limits.count, '*', 'payload', payload, 'signature', signature }
  for i = from, #ARGV do
    add[#add + 1] = ARGV[i]
  end
  for i = 1, math.min(#others, 2 * MOST_OTHERS), 2 do
    add[#add + 1] = 'original.' .. others[i]
    add[#add + 1] = others[i + 1]
  end
  local before, added = redis.call('XLEN', letters), 0
  for i = 7, #add do
    added = added + #add[i]
  end
  local id = redis.call(unpack(add))
  redis.call('SET', dedupKey, id, 'PX', windowMs)
  local cut = before + 1 - redis.call('XLEN', letters)
  if tonumber(limits.bytes) > 0 then
    cut = cut + cutToBytes(letters, sizeKey, added, tonumber(limits.bytes))
  end
  return cut
end
