-- Changes which fold version serves, if it is still the one that was seen. Repeated after a lost reply it is done.
-- KEYS: serving. ARGV: value seen ('' = none), new value.
-- Returns the value that stands now.
local serving, seen, next = KEYS[1], ARGV[1], ARGV[2]
local current = redis.call('GET', serving) or ''
if current ~= seen then return current end
redis.call('SET', serving, next)
return next
