-- One commit: compare the record, write views, indexes and record, push what changed. All or nothing:
-- everything that could fail is checked before the first write.
-- KEYS: fence, due, ns, then list and rows of each namespace, then a view each.
-- ARGV: record believed, new record without lease, lease in ms, key prefix, number of namespaces, then
--   the namespaces, then per view: number of its namespace, batch, value, revision, due (0 = none),
--   row ('' = unchanged), bytes to push.
-- Returns the lease's end, or nil when refused.
local current = redis.call('GET', KEYS[1])
if not current then return false end
local space = string.find(current, ' ', 1, true)
if current ~= ARGV[1] then
  -- The reply to this very commit was lost: it is done. A lease that ends before the one believed in is that of
  -- a rollback or of a record given back (0), where nothing of it is written, though all else may be the same.
  local held = string.sub(current, 1, space - 1)
  local believed = string.match(ARGV[1], '^%d+')
  if string.sub(current, space + 1) == ARGV[2] and tonumber(held) >= tonumber(believed) then return held end
  return false
end
local t = redis.call('TIME')
local lease = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000) + ARGV[3])
local record = lease .. ' ' .. ARGV[2]
local prefix, namespaces = ARGV[4], tonumber(ARGV[5])
local first = 3 + 2 * namespaces
local views = #KEYS - first

if views > 0 then
  local function check(key, want)
    local is = redis.call('TYPE', key).ok
    if is ~= 'none' and is ~= want then
      return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. is .. ', want a ' .. want)
    end
  end
  local wrong = check(KEYS[2], 'zset') or check(KEYS[3], 'set')
  for n = 1, namespaces do
    wrong = wrong or check(KEYS[2 + 2 * n], 'zset') or check(KEYS[3 + 2 * n], 'hash')
  end
  if wrong then return wrong end

  local set, due, undue, list, rows = {}, {}, {}, {}, {}
  for n = 1, namespaces do list[n], rows[n] = {}, {} end
  for i = 1, views do
    local a = 5 + namespaces + 7 * (i - 1)
    local n, batch, value, row = tonumber(ARGV[a + 1]), ARGV[a + 2], ARGV[a + 3], ARGV[a + 6]
    local member = ARGV[5 + n] .. ':' .. batch
    set[2 * i - 1], set[2 * i] = KEYS[first + i], value
    if ARGV[a + 5] == '0' then
      undue[#undue + 1] = member
    else
      due[#due + 1] = ARGV[a + 5]
      due[#due + 1] = member
    end
    local l = list[n]
    l[#l + 1] = ARGV[a + 4]
    l[#l + 1] = batch
    if row ~= '' then
      local r = rows[n]
      r[#r + 1] = batch
      r[#r + 1] = row
    end
  end
  redis.call('MSET', unpack(set))
  if #due > 0 then redis.call('ZADD', KEYS[2], unpack(due)) end
  if #undue > 0 then redis.call('ZREM', KEYS[2], unpack(undue)) end
  for n = 1, namespaces do
    redis.call('SADD', KEYS[3], ARGV[5 + n])
    redis.call('ZADD', KEYS[2 + 2 * n], unpack(list[n]))
    if #rows[n] > 0 then redis.call('HSET', KEYS[3 + 2 * n], unpack(rows[n])) end
  end
end

redis.call('SET', KEYS[1], record)
for i = 1, views do
  local a = 5 + namespaces + 7 * (i - 1)
  local ns, size = ARGV[5 + ARGV[a + 1]], tonumber(ARGV[a + 7])
  local value = ARGV[a + 3]
  if size < #value then value = string.sub(value, 1, size) end
  redis.call('PUBLISH', prefix .. 'push:' .. ns .. ':' .. ARGV[a + 2], record .. '\n' .. value)
  if ARGV[a + 6] ~= '' then redis.call('PUBLISH', prefix .. 'rowpush:' .. ns, ARGV[a + 6]) end
end
return lease
