-- Drops views with their entries of catalogue and indexes, all or nothing, and writes the new fence. Views that no checkpoint covers,
-- or that are to be judged again, stay, and so does everything if a key doesn't have the counted number of entries.
--
-- KEYS: fence, cat, due, ns, unc. ARGV: expected fence, new fence without lease and counts, lease in ms, key prefix, then the views as
-- <ns>:<batch>.
--
-- Returns the end of the lease, the number of views and of those that no checkpoint covers, or nil if refused.
local FENCE, CAT, DUEKEY, NSKEY, UNC = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local BELIEVED, NEXT, LEASE, PREFIX, FIRST = ARGV[1], ARGV[2], ARGV[3], ARGV[4], 5

local current = redis.call('GET', FENCE)
if not current then return false end
local held, count, open, rest = string.match(current, '^lease=(%d+) views=(%d+) uncovered=(%d+) (.*)$')
if current ~= BELIEVED then
  local believed = string.match(BELIEVED, '^lease=(%d+)')
  if rest == NEXT and tonumber(held) >= tonumber(believed) then return {held, count, open} end
  return false
end
local views = tonumber(count)
if redis.call('HLEN', CAT) ~= views or redis.call('ZCARD', DUEKEY) ~= views or redis.call('ZCARD', UNC) ~= tonumber(open) then
  return redis.error_reply('DAMAGED ' .. CAT)
end
for i = FIRST, #ARGV do
  local member = ARGV[i]
  if not redis.call('ZSCORE', UNC, member) and redis.call('ZSCORE', DUEKEY, member) == 'inf' and redis.call('HDEL', CAT, member) == 1 then
    local ns, batch = string.match(member, '^([^:]*):(.*)$')
    redis.call('UNLINK', PREFIX .. 'v:' .. member, PREFIX .. 'p:' .. member)
    redis.call('ZREM', DUEKEY, member)
    redis.call('ZREM', PREFIX .. 'list:' .. ns, batch)
    redis.call('HDEL', PREFIX .. 'rows:' .. ns, batch)
    if redis.call('HINCRBY', NSKEY, ns, -1) <= 0 then redis.call('HDEL', NSKEY, ns) end
    views = views - 1
    redis.call('PUBLISH', PREFIX .. 'rowpush:' .. ns, '{"gone":' .. cjson.encode(batch) .. '}')
  end
end
local t = redis.call('TIME')
local lease = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000) + LEASE)
count = string.format('%.0f', views)
redis.call('SET', FENCE, 'lease=' .. lease .. ' views=' .. count .. ' uncovered=' .. open .. ' ' .. NEXT)
return {lease, count, open}
