-- One commit: compares the fence, writes views, catalogue, indexes and fence, and pushes what changed. All or nothing:
-- everything that can fail is checked before the first write.
--
-- KEYS: fence, cat, due, ns, unc, then list and rows of each namespace, then the views.
--
-- ARGV: as named below, then the namespaces, then the fields of each view, then keys and values of the parts of all views, then
-- the marks: a batch and the sequence from which on no checkpoint covers it, 0 if one covers all of it.
--
-- The parts of a large view are stored apart from it, in a hash. BEFORE is the number of parts that it has ('': none are stored
-- apart, 'all': they are replaced), and PARTS the number of those that follow, or the key of a hash that has them already.
--
-- Returns the end of the lease, the number of views and of those that no checkpoint covers, nil if refused, or an error DAMAGED with the name of a key
-- that doesn't have the counted number of entries.
local BELIEVED, NEXT, LEASE, PREFIX = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local HEADER = tonumber(ARGV[5])      -- bytes of a value that the catalogue stores
local REFILL = ARGV[6] == 'refill'  -- due, list and rows are being refilled
local namespaces = tonumber(ARGV[7])
local marks = tonumber(ARGV[8])
local FIRST = 8                                                      -- number of arguments before the namespaces
local NS, BATCH, VALUE, REVISION, DUE, ROW, PUSH, STAGED, BEFORE, PARTS, FIELDS = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10 -- of a view
local FENCE, CAT, DUEKEY, NSKEY, UNC, FIXED = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], 5

local current = redis.call('GET', FENCE)
if not current then return false end
if current ~= BELIEVED then
  -- The fence was already replaced by this very commit, whose reply was lost. A lease that ends earlier than the
  -- expected one belongs to a rollback or to a released fence (0): there, nothing of this commit is written even if
  -- all other fields are equal.
  local held, count, open, rest = string.match(current, '^lease=(%d+) views=(%d+) uncovered=(%d+) (.*)$')
  local believed = string.match(BELIEVED, '^lease=(%d+)')
  if rest == NEXT and tonumber(held) >= tonumber(believed) then return {held, count, open} end
  return false
end
local count, uncovered = string.match(current, ' views=(%d+) uncovered=(%d+) ')
count, uncovered = tonumber(count), tonumber(uncovered)
local first = FIXED + 2 * namespaces
local views = #KEYS - first

local function name(n) return ARGV[FIRST + n] end
local function fields(i) return FIRST + namespaces + FIELDS * (i - 1) end
local function list(n) return KEYS[FIXED - 1 + 2 * n] end
local function rows(n) return KEYS[FIXED + 2 * n] end

local function partsOf(i) return PREFIX .. 'p:' .. name(ARGV[fields(i) + NS]) .. ':' .. ARGV[fields(i) + BATCH] end

-- damaged returns the name of a key that has another type or another number of entries than is counted.
local function damaged()
  local function holds(command, key, want)
    local n = redis.pcall(command, key)
    return type(n) == 'number' and (n == want or not want)
  end
  if not holds('ZCARD', UNC, uncovered) then return UNC end
  if not holds('HLEN', CAT, count) then return CAT end
  if not holds('ZCARD', DUEKEY, not REFILL and count) then return DUEKEY end
  for n = 1, namespaces do
    local has = redis.pcall('HGET', NSKEY, name(n))
    if type(has) == 'table' then return NSKEY end
    local want = tonumber(has or 0)
    if not holds('ZCARD', list(n), not REFILL and want) then return list(n) end
    if not holds('HLEN', rows(n), not REFILL and want) then return rows(n) end
  end
end

local new = {} -- namespaces without a view before
if views + marks > 0 then
  local key = damaged()
  if key then return redis.error_reply('DAMAGED ' .. key) end
  for i = 1, views do -- a large value is already stored under its own key, and only its header is an argument
    local staged = ARGV[fields(i) + STAGED]
    if staged ~= '' and redis.call('EXISTS', staged) == 0 then return redis.error_reply('UNSTAGED ' .. staged) end
    local before, parts = ARGV[fields(i) + BEFORE], ARGV[fields(i) + PARTS]
    if before == 'all' then
      if not tonumber(parts) and redis.call('EXISTS', parts) == 0 then return redis.error_reply('UNSTAGED ' .. parts) end
    elseif before ~= '' then
      local n = redis.pcall('HLEN', partsOf(i))
      if n ~= tonumber(before) then return redis.error_reply('DAMAGED ' .. partsOf(i)) end
    end
  end

  local set, due, of = {}, {}, {}
  local part = fields(views + 1) -- the argument before the next part's key
  for n = 1, namespaces do of[n] = {cat = {}, list = {}, rows = {}} end
  for i = 1, views do
    local a = fields(i)
    local n, batch, value = tonumber(ARGV[a + NS]), ARGV[a + BATCH], ARGV[a + VALUE]
    local member = name(n) .. ':' .. batch
    if ARGV[a + STAGED] == '' then
      set[#set + 1] = KEYS[first + i]
      set[#set + 1] = value
    else
      redis.call('PERSIST', ARGV[a + STAGED])
      redis.call('RENAME', ARGV[a + STAGED], KEYS[first + i])
    end
    if ARGV[a + BEFORE] ~= '' then
      local key, n = partsOf(i), tonumber(ARGV[a + PARTS])
      if not n then
        redis.call('PERSIST', ARGV[a + PARTS])
        redis.call('RENAME', ARGV[a + PARTS], key)
      elseif ARGV[a + BEFORE] == 'all' then
        redis.call('UNLINK', key)
      end
      for from = 1, 2 * (n or 0), 1000 do
        redis.call('HSET', key, unpack(ARGV, part + from, part + math.min(from + 999, 2 * n)))
      end
      part = part + 2 * (n or 0)
    end
    due[2 * i - 1], due[2 * i] = ARGV[a + DUE], member
    local o = of[n]
    local c, l = o.cat, o.list
    c[#c + 1] = member
    c[#c + 1] = string.sub(value, 1, HEADER)
    l[#l + 1] = ARGV[a + REVISION]
    l[#l + 1] = batch
    if ARGV[a + ROW] ~= '' then
      local r = o.rows
      r[#r + 1] = batch
      r[#r + 1] = ARGV[a + ROW]
    end
  end
  if #set > 0 then redis.call('MSET', unpack(set)) end
  if #due > 0 then redis.call('ZADD', DUEKEY, unpack(due)) end
  for n = 1, namespaces do
    local o = of[n]
    local added = redis.call('HSET', CAT, unpack(o.cat))
    redis.call('ZADD', list(n), unpack(o.list))
    if #o.rows > 0 then redis.call('HSET', rows(n), unpack(o.rows)) end
    if added > 0 then
      count = count + added
      if redis.call('HINCRBY', NSKEY, name(n), added) == added then new[#new + 1] = name(n) end
    end
  end
end

for from = #ARGV - 2 * marks + 1, #ARGV, 2 do
  if ARGV[from + 1] == '0' then redis.call('ZREM', UNC, ARGV[from]) else redis.call('ZADD', UNC, ARGV[from + 1], ARGV[from]) end
end
if marks > 0 then uncovered = redis.call('ZCARD', UNC) end

local t = redis.call('TIME')
local lease = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000) + LEASE)
local total = string.format('%.0f', count)
local open = string.format('%.0f', uncovered)
local record = 'lease=' .. lease .. ' views=' .. total .. ' uncovered=' .. open .. ' ' .. NEXT
redis.call('SET', FENCE, record)
for i = 1, #new do redis.call('PUBLISH', PREFIX .. 'nspush', new[i]) end
for i = 1, views do
  local a = fields(i)
  local ns, size, value = name(ARGV[a + NS]), tonumber(ARGV[a + PUSH]), ARGV[a + VALUE]
  if size < #value then value = string.sub(value, 1, size) end
  redis.call('PUBLISH', PREFIX .. 'push:' .. ns .. ':' .. ARGV[a + BATCH], record .. '\n' .. value)
  if ARGV[a + ROW] ~= '' then redis.call('PUBLISH', PREFIX .. 'rowpush:' .. ns, ARGV[a + ROW]) end
end
return {lease, total, open}
