// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

namespace strictsend::relay {

/// Whether an Ethernet frame carries an untagged IP packet that may be marked: ECT(0), ECT(1) or CE
/// (RFC 3168 §5).
[[nodiscard]] bool is_ecn_capable(std::span<const std::byte> frame);

/// Sets CE in such a frame, and keeps the header checksum of IPv4 right.
void mark_congestion(std::span<std::byte> frame);

}  // namespace strictsend::relay
