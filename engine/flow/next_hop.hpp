// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "nic/port.hpp"

namespace strictsend::engine {

// Where a datagram flow's frames go as one word, so that whoever finds out can tell the engine
// thread without a lock.

[[nodiscard]] inline std::uint64_t pack(const nic::NextHop& hop) {
  auto bits = static_cast<std::uint64_t>(hop.state);
  for (const std::uint8_t byte : hop.mac)
    bits = bits << 8 | byte;
  return bits;
}

[[nodiscard]] inline nic::NextHop unpack_next_hop(std::uint64_t bits) {
  nic::NextHop hop;
  for (std::size_t i = hop.mac.size(); i-- > 0; bits >>= 8)
    hop.mac[i] = static_cast<std::uint8_t>(bits);
  hop.state = static_cast<nic::NextHop::State>(bits);
  return hop;
}

}  // namespace strictsend::engine
