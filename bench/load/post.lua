-- Posts the event of the benchmarks, each with another number, and prints figures as JSON.
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"

local sent = 0

function request()
  sent = sent + 1
  return wrk.format(nil, nil, nil, string.format(
    '{"n":%d,"email":"ada@example.com","name":"Ada Lovelace","company":"Analytical Engines","plan":"team"}',
    sent))
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'FIGURES {"requests":%d,"seconds":%.6f,"p50_ms":%.3f,"p99_ms":%.3f,"max_ms":%.3f,"bad_status":%d,"broken":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, latency.max / 1e3, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
