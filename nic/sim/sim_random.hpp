// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/clock.hpp"

namespace strictsend::nic {

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014): 8 bytes
/// of state, every seed is good, and the same numbers with every standard library.
class SimRandom {
 public:
  explicit SimRandom(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// In [0, bound); the bias of the remainder is far below what a simulation can see.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  bool chance(std::uint32_t ppm) { return below(1'000'000) < ppm; }
  /// In [0, max]; `max` is not negative.
  Duration up_to(Duration max) {
    return Duration{static_cast<std::int64_t>(below(static_cast<std::uint64_t>(max.ns) + 1))};
  }

 private:
  std::uint64_t state_;
};

}  // namespace strictsend::nic
