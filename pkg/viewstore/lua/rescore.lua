-- Sets the scores of views in the due index, if the views haven't changed since they were read.
--
-- KEYS: due, then the views. ARGV: for each view member, header seen, new score.
local MEMBER, HEADER, SCORE, FIELDS = 1, 2, 3, 3
local n = 0
for i = 2, #KEYS do
  local a = FIELDS * (i - 2)
  local header = ARGV[a + HEADER]
  if redis.call('GETRANGE', KEYS[i], 0, #header - 1) == header then
    n = n + 1
    redis.call('ZADD', KEYS[1], 'XX', ARGV[a + SCORE], ARGV[a + MEMBER])
  end
end
return n
