-- Counts the views of each namespace anew from the catalogue, and drops indexes that are to be filled again.
-- KEYS: fence, cat, ns, then what is to be dropped. ARGV: record believed.
-- Returns 1, or nil when refused.
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
