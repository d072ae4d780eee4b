// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "nic/fixed_queue.hpp"
#include "nic/port.hpp"
#include "nic/sim/sim_random.hpp"
#include "nic/sim/sim_wire.hpp"

namespace strictsend::nic {

/// The sending half of the simulated device. A descriptor's life:
///
///     free ──transmit──▶ posted ──kick──▶ on_device ──dma_read──▶ read ──completion──▶ completed
///       ▲                   │                 │                    │ (or never)            │
///       └───────reap────────┴──── stop ───────┴────────────────────┴──────────────reap─────┘
///
/// The memory is read at dma_read, at the packet's turn on the link or later, and by default in the
/// same instant as the completion: anything written to it before goes out. A packet that the device
/// cuts is read at once, when the last of its packets has had its turn; all of them leave then.
class SimTransmit {
 public:
  SimTransmit(const SimConfig& config, const PortCapabilities& capabilities,
              const DmaMemory& memory, SimWire& wire, QueueCounters& counters);

  std::size_t transmit(std::span<const TxPacket> packets);
  void kick();
  std::size_t reap(std::span<TxCompletion> completions);
  void stop();
  /// Looks whether memory changed that the device still holds after stop().
  void look_at_held();
  [[nodiscard]] bool stopped() const { return stopped_; }
  [[nodiscard]] bool can_reap() const;

  /// Events of the agenda; ignored after stop().
  void on_dma_read(std::uint32_t index);
  void on_completion(std::uint32_t index);

  [[nodiscard]] std::uint64_t lost_completions() const { return lost_completions_; }
  [[nodiscard]] std::uint64_t changed_under_descriptor() const { return changed_; }

 private:
  enum class State : std::uint8_t { free, posted, on_device, read, completed };
  struct Descriptor {
    State state = State::free;
    std::uint32_t cookie = 0;
    std::uint32_t fragment_count = 0;
    std::uint32_t length_bytes = 0;
    std::uint64_t digest = 0;  ///< of the memory at transmit
    std::uint64_t order = 0;
    std::optional<ChecksumRequest> checksum;
    std::optional<SegmentationRequest> segmentation;
    std::optional<SimFrameIndex> frame;  ///< what was read at the kick already
  };
  struct Completed {
    std::uint32_t descriptor = 0;
    TxStatus status = TxStatus::sent;
  };

  void post(std::uint32_t index, const TxPacket& packet);
  [[nodiscard]] std::span<const Fragment> fragments_of(std::uint32_t index) const;
  [[nodiscard]] Time turn_on_the_link(const Descriptor& descriptor);
  [[nodiscard]] std::optional<SimFrameIndex> read_memory(std::uint32_t index);
  void leave(std::optional<SimFrameIndex> frame);
  void leave_in_pieces(std::uint32_t index);
  [[nodiscard]] std::uint64_t digest_of(std::uint32_t index) const;
  void look_for_change(std::uint32_t index);
  void return_held();

  const SimConfig* config_;
  const PortCapabilities* capabilities_;
  DmaMemory memory_;
  SimWire* wire_;
  QueueCounters* counters_;
  SimRandom random_;

  std::vector<Descriptor> descriptors_;
  std::size_t fragments_each_;
  std::vector<Fragment> fragments_;  ///< fragments_each_ for each descriptor
  std::vector<std::byte> whole_;     ///< scratch: a packet that is to be cut
  std::vector<std::uint32_t> free_;
  FixedQueue<std::uint32_t> posted_;
  FixedQueue<Completed> completed_;
  std::vector<std::uint32_t> returned_;  ///< scratch of stop()

  std::size_t reportable_ = 0;  ///< of completed_: those that a batch has released
  std::uint64_t next_order_ = 0;
  Time last_read_at_;
  Time last_completion_at_;
  bool stopped_ = false;
  bool holding_ = false;  ///< stopped, and the descriptors have not come back yet
  std::uint64_t lost_completions_ = 0;
  std::uint64_t changed_ = 0;
};

}  // namespace strictsend::nic
