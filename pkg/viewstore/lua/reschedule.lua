-- Moves an entry of the due index, if neither its view nor its score has changed meanwhile.
--
-- KEYS: due, view. ARGV: member, score seen, header or digest seen, new score, which of the two it is ('header' or
-- 'sha1'), size of a header.
--
-- A missing view, or a key with another type, is compared as an empty value.
if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
local now = ''
if redis.call('TYPE', KEYS[2]).ok == 'string' then
  if ARGV[5] == 'sha1' then now = redis.call('GET', KEYS[2]) else now = redis.call('GETRANGE', KEYS[2], 0, ARGV[6] - 1) end
end
if ARGV[5] == 'sha1' then now = redis.sha1hex(now) end
if now ~= ARGV[3] then return 0 end
redis.call('ZADD', KEYS[1], 'XX', ARGV[4], ARGV[1])
return 1
