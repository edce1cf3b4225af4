"""What several nodes decide about presence, each in one atomic step on the server, by the server's clock.

Keys, all with one tag so that a cluster keeps them together, and all with an expiry:

- `nodes`: sorted set, node to the time its lease ends; `beats`: node to the time it was last heard
- `node:<node>`: set of the people there
- `user:<id>`: hash with a field for each node they are on: `1` if they look at a connection there, else `0`
- `reaper:<node>`: which node is clearing up after a dead one, for a while
- `epoch`: made with the data and lost with them, so that a loss is noticed; ends in the time it was made
"""

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

BEAT = (
    _NOW
    + """
-- KEYS nodes, beats, epoch, reaper:<node>, node:<node>
-- ARGV node, lease, known epoch, fresh epoch, expiry
local epoch = redis.call('GET', KEYS[3])
if not epoch then
  epoch = ARGV[4] .. ':' .. string.format('%.0f', now)
  redis.call('SET', KEYS[3], epoch)
end
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
local state = 'ok'
if epoch ~= ARGV[3] then
  state = 'lost'
elseif not known or (tonumber(known) < now and redis.call('EXISTS', KEYS[4]) == 1) then
  return {'reaped', epoch}
end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('ZADD', KEYS[2], now, ARGV[1])
for _, key in ipairs({KEYS[1], KEYS[2], KEYS[3], KEYS[5]}) do redis.call('PEXPIRE', key, ARGV[5]) end
return {state, epoch}
"""
)

JOIN = """
-- KEYS nodes, reaper:<node>, node:<node>, user:<id>...   ARGV node, expiry, id..., looks...
-- The positions of those who were on no other node; nothing at all when this node counts as dead.
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) or redis.call('EXISTS', KEYS[2]) == 1 then return false end
local first = {}
for i = 4, #KEYS do
  local here = redis.call('HEXISTS', KEYS[i], ARGV[1])
  if redis.call('HLEN', KEYS[i]) == here then first[#first + 1] = i - 3 end
  redis.call('HSET', KEYS[i], ARGV[1], ARGV[#KEYS - 4 + i])
  redis.call('PEXPIRE', KEYS[i], ARGV[2])
  redis.call('SADD', KEYS[3], ARGV[i - 1])
end
redis.call('PEXPIRE', KEYS[3], ARGV[2])
return first
"""

FOCUSED = (
    _NOW
    + """
-- KEYS nodes, user:<id>...   -> the positions of those who look at a connection to a node that lives
local found = {}
for i = 2, #KEYS do
  local nodes = redis.call('HGETALL', KEYS[i])
  for j = 1, #nodes, 2 do
    local ends = nodes[j + 1] == '1' and redis.call('ZSCORE', KEYS[1], nodes[j])
    if ends and tonumber(ends) > now then
      found[#found + 1] = i - 1
      break
    end
  end
end
return found
"""
)

LEAVE = (
    _NOW
    + """
-- KEYS node:<node>, epoch, user:<id>   ARGV node, known epoch, settling time, id
-- 1 when the person is nowhere now, 0 when elsewhere, -1 while others may not have said yet who is with them.
local epoch = redis.call('GET', KEYS[2])
if epoch ~= ARGV[2] then return -1 end
if now - tonumber(string.match(epoch, '%d+$')) < tonumber(ARGV[3]) then return -1 end
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('SREM', KEYS[1], ARGV[4])
return redis.call('EXISTS', KEYS[3]) == 0 and 1 or 0
"""
)

DEAD = (
    _NOW
    + """
-- KEYS nodes, beats   -> the nodes whose lease has ended, and when they were last heard
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 10)
local found = {}
for i, node in ipairs(dead) do
  found[i] = {node, redis.call('ZSCORE', KEYS[2], node) or string.format('%.0f', now)}
end
return found
"""
)

SOME = """
-- KEYS node:<node>   ARGV how many   -> some of the people there
return redis.call('SRANDMEMBER', KEYS[1], ARGV[1])
"""

REAP = (
    _NOW
    + """
-- KEYS nodes, reaper:<dead>, user:<id>...   ARGV dead, reaper, claim
-- The positions of those who are nowhere now; nothing at all when the node lives or another one clears up.
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not ends or tonumber(ends) > now then return false end
local claim = redis.call('GET', KEYS[2])
if claim and claim ~= ARGV[2] then return false end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
local gone = {}
for i = 3, #KEYS do
  redis.call('HDEL', KEYS[i], ARGV[1])
  if redis.call('EXISTS', KEYS[i]) == 0 then gone[#gone + 1] = i - 2 end
end
return gone
"""
)

REAPED = """
-- KEYS nodes, beats, node:<dead>, reaper:<dead>   ARGV dead, id...   -> how many people are left there
for i = 2, #ARGV do redis.call('SREM', KEYS[3], ARGV[i]) end
local left = redis.call('SCARD', KEYS[3])
if left == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('DEL', KEYS[4])
end
return left
"""

RESIGN = (
    _NOW
    + """
-- KEYS nodes, beats   ARGV node, grace
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
  redis.call('ZADD', KEYS[2], now, ARGV[1])
end
"""
)
