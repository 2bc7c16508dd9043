//! What Redis runs for each question. A script runs as a whole, alone, and by Redis' own clock, so that the clocks of nodes do not matter.

use redis::Script;

/// The scripts, with their digests.
pub(crate) struct Scripts {
    pub(crate) get: Script,
    pub(crate) increment: Script,
    pub(crate) take: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            get: Script::new(GET),
            increment: Script::new(INCREMENT),
            take: Script::new(TAKE),
        }
    }
}

/// The value of a counter, or the whole tokens of a bucket, as text; nil if there is none. KEYS: counter, bucket.
const GET: &str = r"
local count = redis.call('GET', KEYS[1])
if count then return count end
local level = redis.call('HGET', KEYS[2], 'level')
if level then return string.format('%d', math.floor(tonumber(level))) end
return false
";

/// Adds. KEYS: counter. ARGV: delta, life in milliseconds, 1 if every increment renews the life. Numbers come back as text: Lua's own have
/// 53 bits. What would leave the range stays at its end.
const INCREMENT: &str = r"
local added = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(added) == 'table' and added.err then
  local last = '9223372036854775807'
  if string.sub(ARGV[1], 1, 1) == '-' then last = '-9223372036854775808' end
  redis.call('SET', KEYS[1], last, 'KEEPTTL')
end
if ARGV[3] == '1' or redis.call('PTTL', KEYS[1]) < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return redis.call('GET', KEYS[1])
";

/// Takes tokens from a bucket that starts full. KEYS: bucket. ARGV: amount, capacity, tokens per microsecond, 1 if less is welcome, life in
/// milliseconds. Answers taken, left, and microseconds until the amount could be taken.
const TAKE: &str = r"
local now = redis.call('TIME')
now = tonumber(now[1]) * 1000000 + tonumber(now[2])
local wanted, capacity, rate = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local held = redis.call('HMGET', KEYS[1], 'level', 'at')
local level = capacity
if held[1] then
  local passed = math.max(0, now - tonumber(held[2]))
  level = math.min(capacity, tonumber(held[1]) + passed * rate)
end
local taken = 0
if level >= wanted then
  taken = wanted
elseif ARGV[4] == '1' then
  taken = math.max(0, math.floor(level))
end
level = level - taken
redis.call('HSET', KEYS[1], 'level', string.format('%.17g', level), 'at', string.format('%d', now))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
local wait = 0
if taken == 0 and wanted > 0 then
  wait = math.min(math.ceil((wanted - level) / rate), 9007199254740992)
end
return {string.format('%.0f', taken), string.format('%.0f', math.max(0, math.floor(level))), string.format('%.0f', wait)}
";
