-- Removes the entry of a fold version, if it had no heartbeat since the value was read.
--
-- KEYS: versions. ARGV: version, value seen. Returns 1 if the entry was removed.
local versions, version, seen = KEYS[1], ARGV[1], ARGV[2]
if redis.call('HGET', versions, version) ~= seen then return 0 end
return redis.call('HDEL', versions, version)
