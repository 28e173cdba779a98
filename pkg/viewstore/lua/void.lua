-- Removes the record and everything that is made from views, so that the partition is made anew from the log.
-- The views stay: they are folded onto, and counted again when they are written.
-- KEYS: fence, then what goes with it. ARGV: record believed. Returns 1, or nil when refused.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
for i = 2, #KEYS do redis.call('DEL', KEYS[i]) end
redis.call('DEL', KEYS[1])
return 1
