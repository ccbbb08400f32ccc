-- Counts one request against one bucket (GCRA), in microseconds of this server's own clock.
-- KEYS: the bucket; the epoch, which is when counting began here.
-- ARGV: how long one request takes to be forgiven; how many may come at once.
-- Answers how long to wait, 0 if the request passes, and the epoch.
local period, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local epoch = tonumber(redis.call('GET', KEYS[2]) or '')
if not epoch then
  epoch = now
  redis.call('SET', KEYS[2], string.format('%.0f', epoch))
end

-- However the clock was set back, nobody waits for longer than an empty bucket takes.
local arrival = tonumber(redis.call('GET', KEYS[1]) or '') or now
arrival = math.min(math.max(arrival, now), now + period * burst)
local wait = arrival + period - now - period * burst
if wait > 0 then
  return {wait, epoch}
end
arrival = arrival + period
redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000))
return {0, epoch}
