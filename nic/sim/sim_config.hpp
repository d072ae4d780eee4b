// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "base/clock.hpp"
#include "nic/port.hpp"

namespace strictsend::nic {

/// One direction of the simulated path. Probabilities are parts per million, drawn per frame.
struct SimPath {
  Duration delay = microseconds(50);  ///< propagation
  std::uint32_t loss_ppm = 0;
  std::uint32_t duplicate_ppm = 0;
  std::uint32_t corrupt_ppm = 0;  ///< one bit is flipped, past any link-layer check
  std::uint32_t reorder_ppm = 0;  ///< the frame is held back, so that later ones overtake it
  Duration reorder_delay_max = milliseconds(1);  ///< held back by up to this and 1 ns
};

/// When the simulated device reads the memory that descriptors refer to.
enum class SimRead : std::uint8_t {
  at_completion,  ///< as late as a real device may: what is written before the completion goes out
  at_kick,        ///< as the kernel's AF_XDP copy mode does, which hides torn writes
};

struct SimDma {
  SimRead read = SimRead::at_completion;
  Duration lateness_max;  ///< the read comes up to this later than the frame's turn on the link
  Duration completion_lateness_max;  ///< the completion comes up to this after the read
  bool completes_in_order = true;
  std::uint32_t lost_completion_ppm = 0;  ///< sent, but outstanding until stop()
  /// The so-many-th packet taken, from 0 on, is read in its turn but completes only at that time.
  std::optional<std::uint64_t> stuck_packet;
  Time stuck_until;
  /// stop() gets no descriptor back before this time, as from a device that cannot be reset.
  Time holds_until;
  /// Completions are handed out only in batches of at least so many; above 1 the port's capability
  /// late_completion is set.
  std::uint32_t completion_batch_packets = 1;
  /// Compare each descriptor's memory at transmit, at the read and at the completion (or at
  /// stop()), and count changes in SimStats::changed_under_descriptor.
  bool check_immutable = true;
};

struct SimConfig {
  std::uint64_t seed = 1;  ///< the same seed and the same calls give the same run
  Time start_at;

  MacAddress mac{0x02, 0, 0, 0, 0, 0x01};
  std::uint32_t mtu_bytes = 1500;
  std::uint32_t max_fragments = 18;
  std::uint32_t max_fragment_bytes = 4096;
  bool fragment_crosses_page = false;
  bool checksum_offload = false;
  /// Longest IP packet that the device cuts itself, and its fragments; 0: it cuts none. Needs
  /// checksum_offload, and reading at the completion: a kernel that copies does not cut either.
  std::uint32_t segmented_bytes_max = 0;
  std::uint32_t segmented_fragments_max = 18;
  std::uint32_t header_headroom_bytes = 0;  ///< overwritten at transmit
  RxChecksum rx_checksum = RxChecksum::unknown;
  /// Deliver only what accept_flows steers here, as real backends do; off: every frame.
  bool filter_flows = true;
  /// No kernel behind it: what is sent to its MAC or to a group is delivered, whatever it is. With
  /// filter_flows off it is promiscuous.
  bool owns_interface = false;

  std::size_t tx_ring_packets = 256;
  std::size_t rx_ring_packets = 256;
  std::size_t frames_on_the_way_max = 4096;  ///< in both directions; more are lost and counted

  std::uint64_t link_bits_per_second = 10'000'000'000;  ///< each way; 0: no serialisation time
  SimPath to_peer;
  SimPath from_peer;
  SimDma dma;

  /// Called with every frame as it leaves the device, before anything befalls it on the path.
  std::function<void(Time left_at, std::span<const std::byte> frame)> tap;
};

/// What befell the frames of one direction.
struct SimPathStats {
  std::uint64_t sent = 0;
  std::uint64_t lost = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t corrupted = 0;
  std::uint64_t reordered = 0;
  std::uint64_t overflowed = 0;  ///< no room for more frames on the way
  std::uint64_t arrived = 0;
};

struct SimStats {
  SimPathStats to_peer;
  SimPathStats from_peer;
  std::uint64_t lost_completions = 0;
  std::uint64_t changed_under_descriptor = 0;  ///< times that memory under a descriptor had changed
  std::uint64_t not_ours = 0;  ///< arrived, but no accepted flow's, or for another MAC
};

}  // namespace strictsend::nic
