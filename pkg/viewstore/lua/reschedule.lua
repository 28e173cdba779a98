-- Moves an entry of the due index, if neither its view nor its score has changed meanwhile.
-- KEYS: due, view. ARGV: member, score seen, header seen, new score (0 = none).
if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if redis.call('GETRANGE', KEYS[2], 0, #ARGV[3] - 1) ~= ARGV[3] then return 0 end
if ARGV[4] == '0' then return redis.call('ZREM', KEYS[1], ARGV[1]) end
redis.call('ZADD', KEYS[1], ARGV[4], ARGV[1])
return 1
