// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.hpp"
#include "engine/transport/tcp/congestion_control.hpp"

namespace strictsend::packetdrill {

/// What --so_flags= may say: "name=value", separated by commas.
struct Flags {
  std::uint32_t mtu_bytes = 1500;  ///< mtu=
  /// receive_buffer=: scripts expect the window scale of Linux's largest buffer, which is 8.
  std::uint32_t receive_buffer_bytes = 15U << 20;
  /// send_buffer=: what SO_SNDBUF tells until it is set.
  std::uint32_t send_buffer_bytes = 4U << 20;
  /// congestion=: cubic, reno or bbr.
  tcp::CongestionAlgorithm congestion = tcp::CongestionAlgorithm::cubic;
  bool sack = true;  ///< sack=
  bool ecn = true;   ///< ecn=
  /// pacing=: scripts expect a window at once, as from a Linux whose packet scheduler is not fq.
  bool pacing = false;
};

/// As tcp(7) calls it.
[[nodiscard]] std::string_view name_of(tcp::CongestionAlgorithm algorithm);
/// None of this name: nothing.
[[nodiscard]] std::optional<tcp::CongestionAlgorithm> congestion_named(std::string_view name);

/// Fails on a name that is none, or a value that makes no sense.
[[nodiscard]] Result<Flags> parse_flags(std::string_view text);

}  // namespace strictsend::packetdrill
