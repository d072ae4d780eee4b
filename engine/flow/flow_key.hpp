// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/siphash.hpp"
#include <strictsend/address.hpp>

namespace strictsend::engine {

/// The peer's end of a connection and our port. The engine has one address of each family at most,
/// so with the peer's it is a whole key.
struct FlowKey {
  IpAddress peer_address;
  std::uint16_t peer_port = 0;
  std::uint16_t local_port = 0;
  bool operator==(const FlowKey&) const = default;
};

/// What a secret is used for: two uses of one never hash the same bytes.
enum class FlowHashUse : std::uint8_t { table, initial_sequence, cookie };

/// Of all four parts of a connection, `local` being our address: peers choose some of them.
[[nodiscard]] inline std::uint64_t hash_of(const FlowKey& key, const IpAddress& local,
                                           FlowHashUse use, const SipKey& secret) {
  std::array<std::byte, 16 + 16 + 2 + 2 + 2> bytes;
  std::size_t size = 0;
  const auto put = [&](const void* from, std::size_t count) {
    std::memcpy(bytes.data() + size, from, count);
    size += count;
  };
  put(key.peer_address.bytes().data(), key.peer_address.bytes().size());
  put(local.bytes().data(), local.bytes().size());
  put(&key.peer_port, sizeof key.peer_port);
  put(&key.local_port, sizeof key.local_port);
  const std::array<std::uint8_t, 2> kind{static_cast<std::uint8_t>(key.peer_address.family()),
                                         static_cast<std::uint8_t>(use)};
  put(kind.data(), kind.size());
  return siphash(secret, std::span(bytes).first(size));
}

}  // namespace strictsend::engine
