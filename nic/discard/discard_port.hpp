// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "nic/fixed_queue.hpp"
#include "nic/port.hpp"
#include "nic/receive_buffers.hpp"

namespace strictsend::nic {

/// Sees every burst as it is transmitted, on the engine thread: a benchmark's peer, which answers
/// through DiscardPort::inject. Outlives the port.
class TransmitObserver {
 public:
  TransmitObserver() = default;
  TransmitObserver(const TransmitObserver&) = delete;
  TransmitObserver& operator=(const TransmitObserver&) = delete;
  virtual ~TransmitObserver() = default;
  virtual void transmitted(std::span<const TxPacket> packets) = 0;
};

struct DiscardConfig {
  MacAddress mac{0x02, 0, 0, 0, 0, 0x01};
  std::uint32_t mtu_bytes = 1500;
  std::uint32_t max_fragments = 18;
  std::uint32_t max_fragment_bytes = 4096;
  bool fragment_crosses_page = false;
  bool checksum_offload = true;
  std::uint32_t segmented_bytes_max = 0;  ///< 0: no segmentation; otherwise checksum_offload too
  std::uint32_t segmented_fragments_max = 18;
  std::size_t tx_ring_packets = 2048;
  std::size_t rx_ring_packets = 2048;
  RxChecksum rx_checksum = RxChecksum::good;
  bool owns_interface = false;  ///< says so; it is `inject` that decides what is received
  std::size_t queues = 1;       ///< the receive frames are dealt out to them evenly
  std::vector<TransmitObserver*> observers;  ///< of the queues in their order; may be fewer
};

/// A port that takes every packet and sends none: what is left is the engine's own cost. A packet
/// is complete when it is next asked for; only what `inject` is given is ever received. Each queue
/// is used by one thread and shares nothing with the others; makes no system call.
class DiscardPort final : public Port {
 public:
  /// Fails when the memory or the rings cannot be used.
  static Result<std::unique_ptr<DiscardPort>> create(const DiscardConfig& config,
                                                     const DmaMemory& memory);

  /// Lets the engine receive a frame; false: no receive buffer is free, and it is counted. The
  /// queue's thread.
  bool inject(std::span<const std::byte> frame, std::size_t queue = 0) {
    return queues_.at(queue)->inject(frame);
  }

  [[nodiscard]] const PortCapabilities& capabilities() const override { return capabilities_; }
  [[nodiscard]] std::size_t queue_count() const override { return queues_.size(); }
  [[nodiscard]] Queue& queue(std::size_t index) override { return *queues_.at(index); }
  [[nodiscard]] bool link_up() const override { return true; }
  Result<void> accept_flows(const FlowFilter& filter) override;
  /// Whoever it is: nobody gets it.
  Result<NextHop> next_hop(const RouteQuery& query) override {
    static_cast<void>(query);
    return NextHop{NextHop::State::found, {0x02, 0, 0, 0, 0, 0x02}};
  }

 private:
  class DiscardQueue final : public Queue {
   public:
    DiscardQueue(const DiscardPort& port, const DiscardConfig& config, const DmaMemory& memory,
                 TransmitObserver* observer);
    bool inject(std::span<const std::byte> frame) { return receive_.deliver(frame); }
    std::size_t transmit(std::span<const TxPacket> packets) override;
    int kick() override;
    std::size_t reap(std::span<TxCompletion> completions) override;
    std::size_t receive(std::span<RxPacket> packets) override;
    void release_received() override;
    [[nodiscard]] int wait_fd() const override { return -1; }
    bool arm_wait() override;
    void stop() override;
    [[nodiscard]] const QueueCounters& counters() const override { return counters_; }

   private:
    const DiscardPort* port_;
    TransmitObserver* observer_;
    QueueCounters counters_;
    FixedQueue<std::uint32_t> outstanding_;  ///< cookies, oldest first
    ReceiveBuffers receive_;
    bool stopped_ = false;
  };

  DiscardPort(const DiscardConfig& config, const DmaMemory& memory);

  const PortCapabilities capabilities_;
  DmaMemory memory_;
  std::vector<std::unique_ptr<DiscardQueue>> queues_;
};

}  // namespace strictsend::nic
