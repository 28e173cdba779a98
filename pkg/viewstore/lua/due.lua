-- Reads what is due in a partition: the entries up to the time at which its timers are judged, with their views.
--
-- KEYS: fence, due. ARGV: key prefix, limit, size of a header.
--
-- Returns {} if there is no fence, or if it isn't complete or its lease has expired: after a rollback the fence may
-- say that it is complete until its owner notices. Else {fence, member, score, value, parts, …}; the parts are nil
-- unless they are stored apart from the value.
local HEADER = tonumber(ARGV[3])
local record = redis.call('GET', KEYS[1])
if not record then return {} end
local lease = string.match(record, '^lease=(%d+) ')
local complete = string.match(record, ' complete=(%S+) ')
local judge = string.match(record, ' judge=(%d+) ')
if not (lease and complete and judge) then return {record} end -- the caller reports that it can't be parsed
local t = redis.call('TIME')
if complete ~= 'true' or judge == '0' or tonumber(lease) <= t[1] * 1000 + math.floor(t[2] / 1000) then return {} end
local ms = string.sub(judge, 1, -7) -- nanoseconds as text, because a double can't represent them
local members = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ms, 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local out = {record}
for i = 1, #members, 2 do
  local value = redis.pcall('GET', ARGV[1] .. 'v:' .. members[i])
  out[#out + 1] = members[i]
  out[#out + 1] = members[i + 1]
  out[#out + 1] = type(value) == 'string' and value
  local parts = type(value) == 'string' and string.byte(value, HEADER + 1) == 255 and redis.pcall('HGETALL', ARGV[1] .. 'p:' .. members[i])
  out[#out + 1] = parts and not parts.err and parts or false
end
return out
