// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace strictsend::test {

/// A mapped file whose pages leave the memory again and again, because others need the room. One
/// thread does this and that with the front of it, beside a model of that in memory; another writes
/// numbers through the back of the mapping all the time. The seed gives the first one's order.
struct MappedModelConfig {
  std::uint64_t seed = 1;
  std::uint32_t steps = 2000;
};

struct MappedModelResult {
  std::string violation;  ///< empty: everything was as in the model
  std::uint64_t pages_loaded = 0;
  std::uint64_t pages_evicted = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t numbers_written = 0;
};

MappedModelResult run_mapped_model(const MappedModelConfig& config);

}  // namespace strictsend::test
