-- Marks every view of a partition as covered by no checkpoint, and writes the new fence: after the history was made again, only Redis has
-- what the log doesn't have any more.
--
-- KEYS: fence, cat, unc. ARGV: expected fence, new fence without lease and counts, lease in ms, the sequence.
--
-- Returns the end of the lease, the number of views and of those that no checkpoint covers, or nil if refused.
local FENCE, CAT, UNC = KEYS[1], KEYS[2], KEYS[3]
local BELIEVED, NEXT, LEASE, FROM = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local current = redis.call('GET', FENCE)
if not current then return false end
local held, count, open, rest = string.match(current, '^lease=(%d+) views=(%d+) uncovered=(%d+) (.*)$')
if current ~= BELIEVED then
  local believed = string.match(BELIEVED, '^lease=(%d+)')
  if rest == NEXT and tonumber(held) >= tonumber(believed) then return {held, count, open} end
  return false
end
local all = redis.call('HKEYS', CAT)
for i = 1, #all do redis.call('ZADD', UNC, FROM, all[i]) end
local t = redis.call('TIME')
local lease = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000) + LEASE)
open = string.format('%.0f', redis.call('ZCARD', UNC))
redis.call('SET', FENCE, 'lease=' .. lease .. ' views=' .. count .. ' uncovered=' .. open .. ' ' .. NEXT)
return {lease, count, open}
