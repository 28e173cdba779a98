-- Removes keys of a partition that has no fence. If there is a fence again, a new owner may own these keys, so nothing
-- is removed.
--
-- KEYS: fence, then the keys to remove. Returns how many existed, or nil if refused.
if redis.call('EXISTS', KEYS[1]) == 1 then return false end
local keys = {}
for i = 2, #KEYS do keys[i - 1] = KEYS[i] end
return redis.call('UNLINK', unpack(keys))
