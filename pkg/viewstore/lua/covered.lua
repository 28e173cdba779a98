-- Reads how far checkpoints cover a partition.
--
-- KEYS: fence, unc. Returns {} without a fence, else {fence, number of entries, first entry, its sequence}; the last two are nil if
-- everything is covered.
local record = redis.call('GET', KEYS[1])
if not record then return {} end
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
return {record, redis.call('ZCARD', KEYS[2]), first[1], first[2]}
