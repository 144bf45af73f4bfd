-- Callers of many connections: each thread asks for one connection after the other, so many times
-- each. A thread that is through says so by a file, and goes on with what costs nothing until wrk is
-- interrupted. While nobody listens, wrk makes requests that it cannot send: they must not count as
-- callers, so no more are counted than were answered, and one on its way for each of wrk's connections.
-- Arguments: connections, callers of each in a thread, wrk's connections in a thread, folder of the
-- files, header.

local threads = {}
local asked, got = 0, 0

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(args)
  connections, callers, slots = tonumber(args[1]), tonumber(args[2]), tonumber(args[3])
  folder = args[4]
  local name, value = args[5]:match("^([^:]+): (.*)$")
  wrk.headers[name] = value
  answered, refused = 0, 0
end

function request()
  local at = math.floor(asked / callers)
  asked = math.min(asked + 1, got + slots)
  if at < connections then
    return wrk.format("GET", "/api/v1/proxy/storm-" .. at .. "/call")
  end
  if not through then
    through = true
    io.open(folder .. "/through-" .. number, "w"):close()
  end
  return wrk.format("GET", "/healthz")
end

function response(status, headers)
  got = got + 1
  -- Only the proxy's own answers name a connection.
  if headers["causeway-connection"] then
    if status == 200 then answered = answered + 1 end
  elseif status ~= 200 then
    refused = refused + 1
  end
end

function done(summary, latency)
  local all = { answered = 0, refused = 0 }
  for _, thread in ipairs(threads) do
    all.answered = all.answered + thread:get("answered")
    all.refused = all.refused + thread:get("refused")
  end
  io.write(string.format('FIGURES {"answered":%d,"refused":%d}\n', all.answered, all.refused))
end
