// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "nic/port.hpp"

namespace strictsend::nic {

// What a device does with a packet's descriptors, for the ports that are no device.

[[nodiscard]] std::uint32_t length_of(std::span<const Fragment> fragments);

/// Copies the fragments one behind the other into `into`, which holds them; returns their length.
std::uint32_t gather(const DmaMemory& memory, std::span<const Fragment> fragments,
                     std::span<std::byte> into);

/// Finishes a checksum that was left to the device, in a whole frame.
void complete_checksum(std::span<std::byte> frame, const ChecksumRequest& request);

}  // namespace strictsend::nic
