-- Scores the due index anew for views that haven't changed since they were read.
-- KEYS: due, then a view each. ARGV: per view member, header seen, new score (0 = none).
local n = 0
for i = 2, #KEYS do
  local a = 3 * (i - 2)
  if redis.call('GETRANGE', KEYS[i], 0, #ARGV[a + 2] - 1) == ARGV[a + 2] then
    n = n + 1
    if ARGV[a + 3] == '0' then
      redis.call('ZREM', KEYS[1], ARGV[a + 1])
    else
      redis.call('ZADD', KEYS[1], ARGV[a + 3], ARGV[a + 1])
    end
  end
end
return n
