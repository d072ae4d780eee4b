// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

namespace strictsend::test {

/// Parses one input as a received frame, and ends the process if the parsers break a promise: a
/// view outside the frame, or a packet that is not read back the same after it was written again.
/// The first byte chooses what the port knows of the checksum, and whether the IPv4 header checksum
/// is mended first, so that a fuzzer gets past it. Returns whether a packet of TCP, ARP
/// or ping was accepted.
bool fuzz_wire(std::span<const std::byte> input);

}  // namespace strictsend::test
