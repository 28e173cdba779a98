-- Records a heartbeat of a fold version, by the clock of the store.
--
-- KEYS: versions. ARGV: version, number of partitions.
local versions, version, partitions = KEYS[1], ARGV[1], ARGV[2]
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
redis.call('HSET', versions, version, now .. ' ' .. partitions)
return now
