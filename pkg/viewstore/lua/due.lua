-- What is due in a partition: entries up to the moment at which its timers are judged, with their views.
-- KEYS: fence, due. ARGV: key prefix, limit.
-- Returns {} without a record or where it isn't complete, else {record, member, score, value, …}.
local record = redis.call('GET', KEYS[1])
if not record then return {} end
local fields = {}
for f in string.gmatch(record, '%S+') do fields[#fields + 1] = f end
if fields[8] ~= 'true' or fields[10] == '0' then return {} end
local ms = string.sub(fields[10], 1, -7) -- nanoseconds as text: a double couldn't hold them
local members = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ms, 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local out = {record}
for i = 1, #members, 2 do
  out[#out + 1] = members[i]
  out[#out + 1] = members[i + 1]
  local view = redis.pcall('GET', ARGV[1] .. 'v:' .. members[i])
  if type(view) == 'table' then view = false end -- the key holds no string: as good as gone
  out[#out + 1] = view
end
return out
