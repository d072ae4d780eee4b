// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.hpp"
#include "base/mutation.hpp"

namespace strictsend::pagecache {

/// A storm on one small file with real protection: writers through the mapping (stores and read(2))
/// and through the file API, senders that freeze, pin pages late and read them later still (when
/// the "device" completes, sometimes after the acknowledgement or the release), and an oracle that
/// checks every word they read.
///
/// Each writer owns one word in every page and writes its running write number into pages in an
/// order that is a pure function of seed, writer and number. A snapshot is right when, for each
/// writer, it holds exactly the writes 1 … K for some K (so it is one instant, nothing torn,
/// nothing lost), all that ended before the freeze, none that began after it, and all that a write
/// in it can have seen of the other writers.
struct StormConfig {
  std::uint64_t seed = 1;
  std::uint32_t pages = 128;
  std::uint32_t spares = 160;
  std::uint64_t snapshots = 1000;  ///< in all
  Duration limit = seconds(60);    ///< ends the storm where the snapshots do not come together
  std::uint32_t yield_one_in = 16;
  bool mapped = true;  ///< false: file API writers only
};

struct StormResult {
  std::string violation;  ///< the first; empty: none
  std::uint64_t snapshots = 0;
  std::uint64_t writes = 0;
  std::uint64_t preserved = 0;
  std::uint64_t redirected = 0;
  std::uint64_t came_home = 0;
  std::uint64_t faults = 0;
  Duration took;
  bool mapping_unavailable = false;
};

/// Ends early at the first violation.
StormResult run_storm(const StormConfig& config);

}  // namespace strictsend::pagecache
