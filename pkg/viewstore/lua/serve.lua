-- Changes which fold version serves, if the stored value is still the one that was seen. A change repeated after a
-- lost reply succeeds.
--
-- KEYS: serving. ARGV: value seen ('' = none), new value.
--
-- Returns the value that is stored now.
local serving, seen, next = KEYS[1], ARGV[1], ARGV[2]
local current = redis.call('GET', serving) or ''
if current ~= seen then return current end
redis.call('SET', serving, next)
return next
