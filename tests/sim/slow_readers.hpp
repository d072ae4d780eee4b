// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace strictsend::testing {

struct SlowReadersOptions {
  std::uint64_t seed = 1;
  bool mapped = false;  ///< the writer stores to the mapping; else it calls the file's write
  std::uint64_t preserved_frames_max = 512;
  std::uint64_t preserved_frames_per_connection_max = 512;
};

struct SlowReadersReport {
  /// The first thing that went wrong; empty if nothing.
  std::optional<std::string> violation;
  /// This system has no protected mappings: nothing was run.
  bool skipped = false;
  std::uint64_t pages_written = 0;
  std::uint64_t frames_kept_most = 0;
  std::uint64_t fast_served = 0;
  std::uint64_t given_up_for_connection_limit = 0;
  std::uint64_t given_up_for_total_limit = 0;
  std::uint64_t given_up_for_waiting_writers = 0;
  std::uint64_t released_for_writers = 0;  ///< splices that ended with ENOBUFS
};

/// A hundred readers that take 1 KB/s, a writer over the whole file, readers that take what they
/// get, and a packet whose completion the device keeps for seconds: a whole engine in virtual time.
/// What anybody received is compared with the file as it was when its send was submitted, and
/// memory looked at after each step.
SlowReadersReport run_slow_readers(const SlowReadersOptions& options);

}  // namespace strictsend::testing
