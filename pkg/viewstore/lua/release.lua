-- Ends the lease of the expected fence.
--
-- KEYS: fence. ARGV: expected fence, the same without lease.
local current = redis.call('GET', KEYS[1])
local ended = 'lease=0 ' .. ARGV[2]
if current == ended then return 1 end
if current ~= ARGV[1] then return false end
redis.call('SET', KEYS[1], ended)
return 1
