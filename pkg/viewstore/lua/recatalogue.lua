-- Rebuilds the catalogue from the lists, if these have as many views as the fence counts.
--
-- KEYS: fence, cat, ns. ARGV: expected fence, key prefix, bytes of a header.
--
-- Returns 1, 0 if the lists don't have the counted number of entries, or nil if refused.
local BELIEVED, PREFIX, HEADER = ARGV[1], ARGV[2], tonumber(ARGV[3])
if redis.call('GET', KEYS[1]) ~= BELIEVED then return false end
local views = tonumber(string.match(BELIEVED, ' views=(%d+) '))
local ns = redis.pcall('HGETALL', KEYS[3])
if ns.err then return 0 end
local sum = 0
for i = 1, #ns, 2 do
  local n = redis.pcall('ZCARD', PREFIX .. 'list:' .. ns[i])
  if type(n) ~= 'number' or n ~= tonumber(ns[i + 1]) then return 0 end
  sum = sum + n
end
if sum ~= views then return 0 end
redis.call('DEL', KEYS[2])
for i = 1, #ns, 2 do
  for from = 0, tonumber(ns[i + 1]) - 1, 1000 do
    local batches, cat = redis.call('ZRANGE', PREFIX .. 'list:' .. ns[i], from, from + 999), {}
    for b = 1, #batches do
      local member = ns[i] .. ':' .. batches[b]
      local header = redis.pcall('GETRANGE', PREFIX .. 'v:' .. member, 0, HEADER - 1)
      cat[2 * b - 1] = member
      -- A missing view gets an impossible header here, so that the next check finds it.
      cat[2 * b] = type(header) == 'string' and #header == HEADER and header or string.rep('\255', HEADER)
    end
    redis.call('HSET', KEYS[2], unpack(cat))
  end
end
return 1
