// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace strictsend {

/// A secret for siphash. Made once from getrandom(2), or fixed by a test.
struct SipKey {
  std::uint64_t k0 = 0;
  std::uint64_t k1 = 0;
};

/// SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012): a keyed hash that
/// a peer who chooses the input cannot steer. For initial sequence numbers (RFC 6528 §3 asks for a
/// PRF) and for tables keyed by what peers choose.
[[nodiscard]] std::uint64_t siphash(const SipKey& key, std::span<const std::byte> bytes);

}  // namespace strictsend
