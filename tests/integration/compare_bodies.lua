-- SPDX-License-Identifier: Apache-2.0
-- For wrk: every answer's body must be the file of the directory that its path names.
--
--     wrk -s compare_bodies.lua URL -- DIRECTORY NAME...

local names, bodies, asked = {}, {}, 0
different = 0
compared = 0

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  for i = 2, #args do
    local file = assert(io.open(args[1] .. "/" .. args[i], "rb"))
    local body = file:read("*a")
    file:close()
    names[i - 1] = args[i]
    bodies[body] = true
  end
end

function request()
  asked = asked + 1
  return wrk.format("GET", "/" .. names[asked % #names + 1])
end

-- wrk does not tell which request this answers; the files differ in length, and each has its own bytes.
function response(status, headers, body)
  compared = compared + 1
  if status ~= 200 or not bodies[body] or tonumber(headers["Content-Length"]) ~= #body then
    different = different + 1
  end
end

function done(summary)
  local wrong, right = 0, 0
  for _, thread in ipairs(threads) do
    wrong = wrong + thread:get("different")
    right = right + thread:get("compared")
  end
  local errors = summary.errors
  io.write(string.format("compared %d, different %d, errors %d\n", right, wrong,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
