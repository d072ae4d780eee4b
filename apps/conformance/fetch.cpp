// SPDX-License-Identifier: Apache-2.0
#include "apps/conformance/fetch.hpp"

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <span>

#include <fmt/format.h>

#include "apps/conformance/messages.hpp"
#include "apps/strictness/interruption.hpp"

namespace strictsend::conformance {

using strictness::Subprocess;
using strictness::unless_stopped;

namespace {

/// Whether asking again is no use: no room, too large, no curl.
bool will_not_pass(int status) {
  return status == 23 || status == 63 || status == 126 || status == 127;
}

}  // namespace

Result<Subprocess> Fetch::start(const std::string& target, const std::string& name,
                                std::uint64_t bytes_max, std::chrono::seconds limit) const {
  // --max-filesize believes what the server says, and is of no use where it says nothing: the
  // resource limit holds in any case. Of curl's options --disable comes first: nobody's .curlrc has
  // a say here, and no proxy.
  return Subprocess::start({"prlimit", "--fsize=" + std::to_string(bytes_max), "curl", "--disable",
                            "--noproxy", "*", "--silent", "--fail", "--connect-timeout", "5",
                            "--max-time", std::to_string(limit.count()), "--max-filesize",
                            std::to_string(bytes_max), "--output", path(name),
                            "http://" + server_ + target});
}

Result<std::string> Fetch::text(const std::string& target, std::uint64_t bytes_max,
                                std::chrono::milliseconds limit) const {
  using Clock = std::chrono::steady_clock;
  const std::chrono::seconds try_limit(download_seconds_max(bytes_max, 1));
  constexpr int pause_ms = 200;
  const Clock::time_point end = Clock::now() + limit;
  while (true) {
    std::remove(path("answer").c_str());
    Result<Subprocess> curl = start(target, "answer", bytes_max, try_limit);
    if (!curl) return tl::unexpected(std::move(curl.error()));
    if (auto ended = strictness::wait_until_ended(std::span(&*curl, 1), signals_); !ended)
      return tl::unexpected(std::move(ended.error()));
    const Result<int> status = curl->wait_for_status();
    if (!status) return tl::unexpected(status.error());
    if (*status == 0) {
      std::ifstream in(path("answer"), std::ios::binary);
      return std::string{std::istreambuf_iterator<char>(in), {}};
    }
    const std::string asking = "asking http://" + server_ + target;
    if (will_not_pass(*status)) return fail(asking, EIO, meaning(*status));
    if (Clock::now() >= end) return fail(asking, ETIMEDOUT, meaning(*status));
    if (auto go_on = unless_stopped(signals_, pause_ms); !go_on)
      return tl::unexpected(std::move(go_on.error()));
  }
}

std::string Fetch::meaning(int status) {
  // curl(1), EXIT CODES.
  switch (status) {
    case 7:
      return "nobody listens there";
    case 18:
    case 52:
    case 56:
      return "the connection ended before the answer did";
    case 22:
      return "it answered that there is no such file";
    case 23:
      return "it could not be written: the answer is larger than it may be, or there is no room and "
             "--directory must name another directory";
    case 28:
      return "no answer came in time";
    case 63:
      return "the answer is larger than it may be";
    case 126:
    case 127:
      return "curl(1) is not here: apt-get install curl";
    default:
      return fmt::format("curl ended with status {} (EXIT CODES in its manual)", status);
  }
}

}  // namespace strictsend::conformance
