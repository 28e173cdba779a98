-- Ends the lease of the record believed in.
-- KEYS: fence. ARGV: record believed, the same without lease.
local current = redis.call('GET', KEYS[1])
if current == '0 ' .. ARGV[2] then return '0' end
if current ~= ARGV[1] then return false end
redis.call('SET', KEYS[1], '0 ' .. ARGV[2])
return '0'
