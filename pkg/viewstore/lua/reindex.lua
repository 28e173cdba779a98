-- Counts the views of each namespace again from the catalogue, and removes indexes that are to be refilled.
--
-- KEYS: fence, cat, ns, then the keys to remove. ARGV: expected fence.
--
-- Returns 1, or nil if refused.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
local count, names = {}, {}
for _, member in ipairs(redis.call('HKEYS', KEYS[2])) do
  local name = string.match(member, '^[^:]*')
  if not count[name] then
    count[name] = 0
    names[#names + 1] = name
  end
  count[name] = count[name] + 1
end
redis.call('DEL', KEYS[3])
for i = 1, #names do redis.call('HSET', KEYS[3], names[i], count[names[i]]) end
for i = 4, #KEYS do redis.call('DEL', KEYS[i]) end
return 1
