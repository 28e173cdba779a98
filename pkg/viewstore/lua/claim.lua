-- Takes the record if it is the one seen and its lease has passed. Repeated after a lost reply it is done.
-- KEYS: fence. ARGV: record seen ('' = none), new record without lease, lease in ms.
-- Returns the lease's end, or nil when refused.
local current = redis.call('GET', KEYS[1])
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if current then
  local space = string.find(current, ' ', 1, true)
  if string.sub(current, space + 1) == ARGV[2] then return string.sub(current, 1, space - 1) end
  if current ~= ARGV[1] or tonumber(string.sub(current, 1, space - 1)) > now then return false end
elseif ARGV[1] ~= '' then
  return false
end
local lease = string.format('%.0f', now + ARGV[3])
redis.call('SET', KEYS[1], lease .. ' ' .. ARGV[2])
return lease
