-- Posts bodies of a folder in turn, and prints what came of it as one line of JSON.
-- wrk -s serving_load.lua URL -- FOLDER COUNT CONTENT_TYPE ACCEPT WAIT_MS
local requests = {}

function init(args)
  local folder, count, wait = args[1], tonumber(args[2]), tonumber(args[5])
  local headers = { ["Content-Type"] = args[3], ["Accept"] = args[4] }
  for number = 0, count - 1 do
    local file = io.open(folder .. "/" .. number, "rb")
    requests[number] = wrk.format("POST", nil, headers, file:read("*a"))
    file:close()
  end
  math.randomseed(os.time())
  if wait > 0 then
    delay = function() return wait end
  end
end

function request()
  return requests[math.random(0, #requests)]
end

function done(summary, latency, _)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  local line = '{"requests": %d, "seconds": %f, "failed": %d, "p50": %f, "p90": %f, "p95": %f, "p99": %f}\n'
  io.write(string.format(line, summary.requests, summary.duration / 1e6, failed,
    latency:percentile(50) / 1e3, latency:percentile(90) / 1e3,
    latency:percentile(95) / 1e3, latency:percentile(99) / 1e3))
end
