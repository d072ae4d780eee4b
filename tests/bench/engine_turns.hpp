// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "tests/bench/thread_time.hpp"
#include "tests/support/discard_engine.hpp"

namespace strictsend::bench {

/// What sending some bytes took.
struct Sent {
  double cpu_ns = 0;  ///< of the engine thread's turns; the application's part stands outside
  std::uint64_t bytes = 0;
  std::uint64_t chains = 0;  ///< descriptor chains that the port was handed

  [[nodiscard]] double ns_per_bytes(double bytes_unit) const {
    return cpu_ns / static_cast<double>(bytes) * bytes_unit;
  }
  [[nodiscard]] double ns_per_chain() const { return cpu_ns / static_cast<double>(chains); }
};

/// Makes an engine's turns on this thread until it has sent so many bytes more.
inline Sent send_bytes(testing::DiscardEngine& engine, std::uint64_t bytes) {
  const std::uint64_t bytes_before = engine.peer().payload_bytes();
  const std::uint64_t chains_before = engine.peer().data_segments();
  Sent sent;
  while (engine.peer().payload_bytes() < bytes_before + bytes) {
    const double begin = thread_cpu_ns();
    for (int i = 0; i < 64; ++i)
      engine.poll(monotonic_now());
    sent.cpu_ns += thread_cpu_ns() - begin;
    engine.serve();
  }
  sent.bytes = engine.peer().payload_bytes() - bytes_before;
  sent.chains = engine.peer().data_segments() - chains_before;
  return sent;
}

}  // namespace strictsend::bench
