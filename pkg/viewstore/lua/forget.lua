-- Forgets a fold version of which nothing was heard since it was looked at.
-- KEYS: versions. ARGV: version, value seen. Returns 1 if it is forgotten.
local versions, version, seen = KEYS[1], ARGV[1], ARGV[2]
if redis.call('HGET', versions, version) ~= seen then return 0 end
return redis.call('HDEL', versions, version)
