-- Registers a member, and returns all live members.
--
-- KEYS: members. ARGV: member, time to live in ms.
local members, member, ttl = KEYS[1], ARGV[1], tonumber(ARGV[2])
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', members, '-inf', string.format('%.0f', now))
redis.call('ZADD', members, string.format('%.0f', now + ttl), member)
-- Nobody removes the last members of an identity or fold version that is no longer in use, so the key expires by
-- itself.
if redis.call('PTTL', members) < ttl then redis.call('PEXPIRE', members, ttl) end
return redis.call('ZRANGE', members, 0, -1)
