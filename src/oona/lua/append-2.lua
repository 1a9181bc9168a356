--[[
  Stores one message once: deduplicates, then appends.

  KEYS[1]  stream
  KEYS[2]  deduplication key, in the stream's hash slot: {<stream>}:dedup:<id>
  ARGV[1]  payload, raw bytes
  ARGV[2]  signature
  ARGV[3]  deduplication window, ms; 0 = store always

  Returns  the entry id, when it was appended: a table would cost the usual case a tenth of its time
           {code, entry id} otherwise
           0  duplicate: the entry id is the first one's
           3  moved: the message goes to another stream (append-gated-4), no entry id
]]
local stream, dedupKey = KEYS[1], KEYS[2]
local payload, signature = ARGV[1], ARGV[2]
local windowMs = ARGV[3]

if windowMs ~= '0' then
  local first = redis.call('GET', dedupKey)
  if first == '>' then
    return { 3, '' }
  end
  if first then
    return { 0, first }
  end
end

local id = redis.call('XADD', stream, '*', 'payload', payload, 'signature', signature)

-- Only now. A script is not rolled back: were the key set before an XADD that fails (WRONGTYPE, OOM), every retry
-- would be told "duplicate" of an entry that does not exist.
if windowMs ~= '0' then
  redis.call('SET', dedupKey, id, 'PX', windowMs)
end
return id
