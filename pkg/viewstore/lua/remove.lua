-- Removes keys of a partition that has no fence. A fence that is there again is that of a new owner, whose keys they
-- may be: then nothing is removed.
-- KEYS: fence, then the keys to remove. Returns how many there were, or nil when refused.
if redis.call('EXISTS', KEYS[1]) == 1 then return false end
local keys = {}
for i = 2, #KEYS do keys[i - 1] = KEYS[i] end
return redis.call('UNLINK', unpack(keys))
