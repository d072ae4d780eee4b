-- SPDX-License-Identifier: Apache-2.0
-- For wrk: what a run gave, as numbers on one line: requests, seconds, the 50th and 99th percentile of the latency in
-- microseconds, and what went wrong.

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("numbers %d %.6f %d %d %d\n", summary.requests, summary.duration / 1e6,
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
