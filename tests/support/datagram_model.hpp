// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nic/wire/udp_packet.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::testing {

/// What the datagrams of every splice ought to be, for whoever sees them leave the device. Each
/// carries in its header which splice it is of, its number and its offset, so that they may come in
/// any order.
///
///     | splice 4 | sequence 3 | offset 5 | '.' |        odd, so that payloads begin unevenly
class DatagramModel {
 public:
  static constexpr std::size_t header_bytes = 13;
  static constexpr DatagramField sequence{.offset_bytes = 4, .width_bytes = 3};
  static constexpr DatagramField byte_offset{.offset_bytes = 7, .width_bytes = 5};

  /// A new splice of this content; returns its number.
  std::uint32_t add(std::vector<std::byte> content, std::uint32_t payload_bytes);
  [[nodiscard]] static std::string header_of(std::uint32_t splice);

  // What is wrong, in words; nullopt: nothing.
  [[nodiscard]] std::optional<std::string> left_device(const wire::UdpPacketView& datagram);
  /// A splice may be released only when the device has read all of it.
  [[nodiscard]] std::optional<std::string> released(std::uint32_t splice,
                                                    const SpliceResult& result);

  [[nodiscard]] std::uint64_t datagrams_seen() const { return seen_; }
  [[nodiscard]] std::size_t splices() const { return splices_.size(); }
  [[nodiscard]] std::size_t splices_released() const { return released_; }

 private:
  struct Expected {
    std::vector<std::byte> content;
    std::uint32_t payload_bytes = 0;
    std::vector<bool> left;  ///< of each datagram: whether it has left the device
    bool released = false;
  };

  std::vector<Expected> splices_;
  std::uint64_t seen_ = 0;
  std::size_t released_ = 0;
};

}  // namespace strictsend::testing
