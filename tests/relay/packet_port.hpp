// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace strictsend::relay {

/// An interface as the relay uses it: all that arrives there, through a ring that is shared with
/// the kernel (AF_PACKET, TPACKET_V2), and frames to be sent as they are.
///
/// Version 2 of the ring and not 3: that hands packets over in blocks, up to a millisecond after
/// they came. Owned and used by one thread. Nothing blocks; a full ring, or a full device, drops.
class PacketPort {
 public:
  static constexpr std::size_t frame_bytes_max = 1'900;  ///< without a VLAN tag
  static constexpr std::size_t tag_bytes = 4;

  /// An interface of the calling thread's network namespace.
  static Result<PacketPort> open(const std::string& interface_name);

  PacketPort(PacketPort&& other) noexcept;
  PacketPort& operator=(PacketPort&&) = delete;
  PacketPort(const PacketPort&) = delete;
  PacketPort& operator=(const PacketPort&) = delete;
  ~PacketPort();

  [[nodiscard]] int fd() const { return socket_.get(); }

  struct Received {
    std::size_t bytes = 0;         ///< zero: it was none that a wire could carry (see `unfit`)
    std::int64_t realtime_ns = 0;  ///< when it came, on the kernel's CLOCK_REALTIME
  };
  /// Copies the oldest frame that waits to `room` (of at least frame_bytes_max + tag_bytes).
  /// Nothing: none waits.
  std::optional<Received> receive(std::span<std::byte> room);

  /// Sends them now, in order.
  static constexpr std::size_t burst_max = 64;
  void send(std::span<const std::span<const std::byte>> frames);

  struct Counters {
    std::uint64_t unfit = 0;     ///< larger than a frame, or not summed: an end has offloads on
    std::uint64_t missed = 0;    ///< the ring was full
    std::uint64_t not_sent = 0;  ///< the device did not take them
  };
  [[nodiscard]] Counters counters();

 private:
  PacketPort(UniqueFd socket, std::byte* ring) : socket_(std::move(socket)), ring_(ring) {}

  UniqueFd socket_;
  std::byte* ring_;
  std::size_t next_ = 0;  // frame of the ring
  Counters counters_;
};

}  // namespace strictsend::relay
