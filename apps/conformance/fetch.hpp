// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "apps/strictness/subprocess.hpp"
#include "apps/support/event_sources.hpp"
#include <strictsend/result.hpp>

namespace strictsend::conformance {

/// Asks a server for files, with curl(1).
class Fetch {
 public:
  /// `server`: "10.0.0.1:8017". Files go into `directory`.
  Fetch(std::string server, std::string directory, const app::StopSignals& signals)
      : server_(std::move(server)), directory_(std::move(directory)), signals_(signals) {}

  [[nodiscard]] std::string path(const std::string& name) const { return directory_ + "/" + name; }

  /// Starts a download of `target` into the file `name`, which gets no longer than `bytes_max`,
  /// whatever the server says.
  Result<strictsend::strictness::Subprocess> start(const std::string& target,
                                                   const std::string& name, std::uint64_t bytes_max,
                                                   std::chrono::seconds limit) const;
  /// The content of `target`, asked for again and again until it is there, and once at least.
  /// ETIMEDOUT after `limit`, with the last failure; EIO for one that will not pass.
  Result<std::string> text(const std::string& target, std::uint64_t bytes_max,
                           std::chrono::milliseconds limit) const;

  /// What curl's exit status means.
  [[nodiscard]] static std::string meaning(int status);

 private:
  std::string server_;
  std::string directory_;
  const app::StopSignals& signals_;
};

}  // namespace strictsend::conformance
