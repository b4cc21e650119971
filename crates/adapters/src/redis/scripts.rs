//! What Redis does in one step. Each script runs alone, so that what it compares and what it writes
//! belong together. Keys of one shop share a prefix:
//!
//! | key | holds |
//! |---|---|
//! | `…:head` | generation, the event up to which all changes were told, the event below which nothing is good |
//! | `…:mark:<group>` | the last change of a group |
//! | `…:value:<name>` | generation and number of a value, and its bytes |
//! | `…:limit:<limit>:<whom>` | when a bucket is empty again, in microseconds of this server |
//! | `…:best:<window>:<day>` | a ranking of products up to a day, for a second |
//! | `…:closed` | SKUs that are sold out, by the millisecond of this server until which that is believed |
//!
//! The clock is the server's: machines need not agree about the time.

/// Changes of groups with events `from` (exclusive) to `to`; none is a heartbeat. The generation
/// begins with the name of this run of the server: after a restart, with whatever data, or on
/// another server, it is a new one, and nothing from before is good. Neither is anything when changes
/// up to `from` were never told here. Answers 0 when they were not and `wait` says that others may
/// still tell.
///
/// Keys: head, marks. Arguments: run, from, to, life of a mark in ms, wait, number of each mark.
pub(super) const TELL: &str = "
local gen, applied, floor = string.match(redis.call('GET', KEYS[1]) or '', '^(%S+) (%d+) (%d+)$')
local run, from, to = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if not gen or string.sub(gen, 1, #run) ~= run then
  local now = redis.call('TIME')
  gen, applied, floor = run .. '-' .. now[1] .. '-' .. now[2], to, to
else
  applied, floor = tonumber(applied), tonumber(floor)
  if applied < from then
    if ARGV[5] == '1' then return 0 end
    floor = math.max(floor, to)
  end
  applied = math.max(applied, to)
end
redis.call('SET', KEYS[1], string.format('%s %d %d', gen, applied, floor), 'PX', 86400000)
for i = 2, #KEYS do
  local mark = tonumber(redis.call('GET', KEYS[i]) or '0')
  local number = math.max(mark, tonumber(ARGV[i + 4]))
  redis.call('SET', KEYS[i], string.format('%d', number), 'PX', ARGV[4])
end
return 1
";

/// A value, unless its group has changed since it was read, or a later state is there.
///
/// Keys: value, mark, head. Arguments: number, its time to live in ms, bytes.
pub(super) const PUT: &str = "
local gen, _, floor = string.match(redis.call('GET', KEYS[3]) or '', '^(%S+) (%d+) (%d+)$')
local number = tonumber(ARGV[1])
if not gen or number < tonumber(floor) then return 0 end
if number < tonumber(redis.call('GET', KEYS[2]) or '0') then return 0 end
local of, at = string.match(redis.call('GETRANGE', KEYS[1], 0, 127), '^(%S+) (%d+)\\n')
if of == gen and tonumber(at) > number then return 0 end
redis.call('SET', KEYS[1], gen .. ' ' .. ARGV[1] .. '\\n' .. ARGV[3], 'PX', ARGV[2])
return 1
";

/// One more in a leaky bucket (GCRA): 0 if it is within the limit, else in how many microseconds it
/// would be. A clock that was set back, or another server's, makes nobody wait for longer than an
/// empty bucket takes to fill.
///
/// Key: the bucket. Arguments: microseconds for one, how many at once.
pub(super) const PASS: &str = "
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local room = interval * burst
local due = tonumber(redis.call('GET', KEYS[1]) or '0')
due = math.min(math.max(due, now), now + room)
local wait = due + interval - room - now
if wait > 0 then return math.ceil(wait) end
local life = math.ceil((due + interval - now) / 1000) + 1
redis.call('SET', KEYS[1], string.format('%.0f', due + interval), 'PX', life)
return 0
";

/// A SKU is sold out. Key: the list. Arguments: SKU, for how many ms that is believed.
pub(super) const CLOSE: &str = "
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%d', now))
redis.call('ZADD', KEYS[1], string.format('%d', now + ARGV[2]), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
";

/// Which SKUs are sold out, each followed by the ms for which that is believed. Key: the list.
pub(super) const CLOSED: &str = "
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local from = '(' .. string.format('%d', now)
local found = redis.call('ZRANGEBYSCORE', KEYS[1], from, '+inf', 'WITHSCORES', 'LIMIT', 0, 2000)
for i = 2, #found, 2 do found[i] = found[i] - now end
return found
";

/// A ranking, whole, instead of what is there. Key: the sorted set. Arguments: for how many ms it is good,
/// then score and member of each.
pub(super) const BEST: &str = "
redis.call('DEL', KEYS[1])
for i = 2, #ARGV, 2 do redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
";
