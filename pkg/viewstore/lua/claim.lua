-- Takes the record if it is the one seen and its lease has passed. Repeated after a lost reply it is done.
-- A record that can't be read is taken from whoever wrote it, whatever its type: nobody can own by it.
-- KEYS: fence, cat. ARGV: record seen ('' = none), new record without lease and count, lease in ms,
--   'unreadable' where the record seen can't be read.
-- Returns the lease's end and the number of views, or nil when refused.
local SEEN, NEXT, LEASE, UNREADABLE = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == 'unreadable'

local is = redis.call('TYPE', KEYS[1]).ok
local current = is == 'string' and redis.call('GET', KEYS[1])
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local views
if current then
  local held, count, rest = string.match(current, '^lease=(%d+) views=(%d+) (.*)$')
  if rest == NEXT then return {held, count} end
  if current ~= SEEN then return false end
  if not UNREADABLE then
    if not held or tonumber(held) > now then return false end
    views = count
  end
elseif is ~= 'none' then
  if not UNREADABLE then return false end
  redis.call('DEL', KEYS[1])
elseif SEEN ~= '' then
  return false
end
if not views then
  -- Whatever the catalogue holds stays counted; one that can't be read is found by the first commit.
  local n = redis.pcall('HLEN', KEYS[2])
  views = type(n) == 'number' and string.format('%.0f', n) or '0'
end
local lease = string.format('%.0f', now + LEASE)
redis.call('SET', KEYS[1], 'lease=' .. lease .. ' views=' .. views .. ' ' .. NEXT)
return {lease, views}
