-- Removes the fence and everything that is derived from views, so that the partition is rebuilt from the log. The
-- views stay: they are folded onto, and counted again when they are written.
--
-- KEYS: fence, then the keys that are removed with it. ARGV: expected fence. Returns 1, or nil if refused.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
for i = 2, #KEYS do redis.call('DEL', KEYS[i]) end
redis.call('DEL', KEYS[1])
return 1
