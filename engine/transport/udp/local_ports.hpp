// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>

namespace strictsend::udp {

/// Which of our ports flows to one port of one peer have. A value of 8 KiB, filled by one pass over
/// the flows, however many ports are asked about.
class LocalPorts {
 public:
  // The dynamic ports. RFC 6335 §6.
  static constexpr std::uint16_t dynamic_begin = 49'152;
  static constexpr std::uint32_t dynamic_count = 65'536 - dynamic_begin;

  void take(std::uint16_t port) { taken_.set(port); }
  [[nodiscard]] bool taken(std::uint16_t port) const { return taken_.test(port); }
  /// The first dynamic port that is free, from the one with this number on and round to it.
  [[nodiscard]] std::optional<std::uint16_t> free_from(std::uint32_t number) const {
    for (std::uint32_t i = 0; i < dynamic_count; ++i) {
      const auto port =
          static_cast<std::uint16_t>(dynamic_begin + (number % dynamic_count + i) % dynamic_count);
      if (!taken(port)) return port;
    }
    return std::nullopt;
  }

 private:
  std::bitset<65'536> taken_;
};

}  // namespace strictsend::udp
