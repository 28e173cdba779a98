-- Removes the fence of a partition that nobody works on. From then on nothing can be written there without a claim,
-- which starts from scratch. A fence that can't be parsed gives nobody ownership.
--
-- KEYS: fence. Returns 1 if there is no fence any more, 0 while its lease hasn't expired.
local fence = KEYS[1]
if redis.call('TYPE', fence).ok == 'string' then
  local lease = string.match(redis.call('GET', fence), '^lease=(%d+) ')
  local t = redis.call('TIME')
  if lease and tonumber(lease) > t[1] * 1000 + math.floor(t[2] / 1000) then return 0 end
end
redis.call('DEL', fence)
return 1
