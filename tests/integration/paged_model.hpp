// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace strictsend::test {

/// A file four times as large as the cache, beside a model of it in memory: random reads, writes,
/// truncations, syncs, snapshots that are read in pieces while all that goes on, and frames that
/// stay pinned as under descriptors. The seed gives the order; the loader's thread has its own
/// time.
struct PagedModelConfig {
  std::uint64_t seed = 1;
  std::uint32_t steps = 3000;
  /// Another process changes the file in the middle, in place.
  bool foreign_change = false;
};

struct PagedModelResult {
  std::string violation;  ///< empty: everything was as in the model
  std::uint64_t pages_loaded = 0;
  std::uint64_t pages_evicted = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t snapshots_given_up = 0;
};

PagedModelResult run_paged_model(const PagedModelConfig& config);

}  // namespace strictsend::test
