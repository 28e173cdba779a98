-- Claims the fence if it is the one seen and its lease has expired. A claim repeated after a lost reply succeeds. A
-- fence that can't be parsed is taken over at once, whatever its type, since it gives nobody ownership.
--
-- KEYS: fence, cat, unc. ARGV: fence seen ('' = none), new fence without lease and count, lease in ms, 'unreadable' if the
-- fence seen can't be parsed.
--
-- Returns the end of the lease, the number of views and of those that no checkpoint covers, or nil if refused.
local SEEN, NEXT, LEASE, UNREADABLE = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == 'unreadable'

local is = redis.call('TYPE', KEYS[1]).ok
local current = is == 'string' and redis.call('GET', KEYS[1])
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local views, uncovered
if current then
  local held, count, open, rest = string.match(current, '^lease=(%d+) views=(%d+) uncovered=(%d+) (.*)$')
  if rest == NEXT then return {held, count, open} end
  if current ~= SEEN then return false end
  if not UNREADABLE then
    if not held or tonumber(held) > now then return false end
    views, uncovered = count, open
  end
elseif is ~= 'none' then
  if not UNREADABLE then return false end
  redis.call('DEL', KEYS[1])
elseif SEEN ~= '' then
  return false
end
if not views then
  -- All views in the catalogue stay counted. A catalogue that can't be read is detected by the first commit.
  local n = redis.pcall('HLEN', KEYS[2])
  views = type(n) == 'number' and string.format('%.0f', n) or '0'
  n = redis.pcall('ZCARD', KEYS[3])
  uncovered = type(n) == 'number' and string.format('%.0f', n) or '0'
end
local lease = string.format('%.0f', now + LEASE)
redis.call('SET', KEYS[1], 'lease=' .. lease .. ' views=' .. views .. ' uncovered=' .. uncovered .. ' ' .. NEXT)
return {lease, views, uncovered}
