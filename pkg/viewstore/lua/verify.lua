-- Looks for keys of a partition that don't have the number of entries that its fence counts. It writes nothing.
--
-- KEYS: fence, cat, due, ns, unc. ARGV: as named below, then namespaces that are checked in any case.
--
-- Returns {} if there is no valid fence, else {next cursor of ns, next cursor of cat, damaged key without prefix, …}.
local PREFIX, NSCURSOR, CATCURSOR, NSPAGE, CATPAGE, NAMED = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], 6
local CAT, DUEKEY, NSKEY = KEYS[2], KEYS[3], KEYS[4]

local record = redis.pcall('GET', KEYS[1])
local views = type(record) == 'string' and tonumber(string.match(record, ' views=(%d+) '))
if not views then return {} end
local out = {'0', '0'}
local function found(key) out[#out + 1] = key end
local function holds(command, key, want)
  local n = redis.pcall(command, key)
  return type(n) == 'number' and n == want
end

if not holds('ZCARD', KEYS[5], tonumber(string.match(record, ' uncovered=(%d+) '))) then found('unc') end
if not holds('ZCARD', DUEKEY, views) then found('due') end
local ns = redis.pcall('HSCAN', NSKEY, NSCURSOR, 'COUNT', NSPAGE)
local nsOK = not ns.err
local seen = {}
local function look(name, count)
  if seen[name] then return end
  seen[name] = true
  if not count then return found('ns') end
  if not holds('ZCARD', PREFIX .. 'list:' .. name, tonumber(count)) then found('list:' .. name) end
  if not holds('HLEN', PREFIX .. 'rows:' .. name, tonumber(count)) then found('rows:' .. name) end
end
if not nsOK then
  found('ns')
else
  out[1] = ns[1]
  for i = 1, #ns[2], 2 do look(ns[2][i], ns[2][i + 1]) end
  for i = NAMED, #ARGV do
    -- A namespace that isn't counted must not have entries either.
    if not seen[ARGV[i]] then look(ARGV[i], redis.call('HGET', NSKEY, ARGV[i]) or '0') end
  end
end

if not holds('HLEN', CAT, views) then
  found('cat')
  return out
end
local page = redis.call('HSCAN', CAT, CATCURSOR, 'COUNT', CATPAGE)
out[2] = page[1]
for i = 1, #page[2], 2 do
  local member, header = page[2][i], page[2][i + 1]
  -- After the header of a view whose parts are stored apart there is a byte 255, and their number in four bytes.
  local is = redis.pcall('GETRANGE', PREFIX .. 'v:' .. member, 0, #header + 4)
  if type(is) ~= 'string' or string.sub(is, 1, #header) ~= header then
    found('v:' .. member)
  elseif string.byte(is, #header + 1) == 255 and #is == #header + 5 then
    local n = 0
    for b = 1, 4 do n = n * 256 + string.byte(is, #header + 1 + b) end
    if not holds('HLEN', PREFIX .. 'p:' .. member, n) then found('v:' .. member) end
  end
  if nsOK then
    local name = string.match(member, '^[^:]*')
    if not seen[name] then look(name, redis.call('HGET', NSKEY, name)) end
  end
end
return out
