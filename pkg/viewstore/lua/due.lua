-- What is due in a partition: entries up to the moment at which its timers are judged, with their views.
-- KEYS: fence, due. ARGV: key prefix, limit.
-- Returns {} without a record, or where it isn't complete or its lease has passed: after a rollback it may call
-- itself complete until its owner notices. Else {record, member, score, value, …}.
local record = redis.call('GET', KEYS[1])
if not record then return {} end
local lease = string.match(record, '^lease=(%d+) ')
local complete = string.match(record, ' complete=(%S+) ')
local judge = string.match(record, ' judge=(%d+) ')
if not (lease and complete and judge) then return {record} end -- for the caller to say that it can't be read
local t = redis.call('TIME')
if complete ~= 'true' or judge == '0' or tonumber(lease) <= t[1] * 1000 + math.floor(t[2] / 1000) then return {} end
local ms = string.sub(judge, 1, -7) -- nanoseconds as text: a double couldn't hold them
local members = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ms, 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local out = {record}
for i = 1, #members, 2 do
  local value = redis.pcall('GET', ARGV[1] .. 'v:' .. members[i])
  out[#out + 1] = members[i]
  out[#out + 1] = members[i + 1]
  out[#out + 1] = type(value) == 'string' and value
end
return out
