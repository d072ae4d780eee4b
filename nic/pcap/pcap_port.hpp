// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "nic/pcap/pcap_file.hpp"
#include "nic/port.hpp"

namespace strictsend::nic {

/// A port around another one that records what passes through: packets sent as the device is to
/// finish them (gathered, with the checksum filled in) and packets received. For diagnosis: it
/// reads every payload byte, and writes the file from the engine thread.
///
/// Owns the port inside. The memory outlives both. Queue 0 records to `path`, queue n to `path.n`,
/// so that engine threads share nothing. Flushed by `stop`, closed by the destructor.
class PcapPort final : public Port {
 public:
  /// Called once per burst, on the engine thread; nanoseconds since the epoch, or virtual time.
  using Clock = std::function<Time()>;

  static Result<std::unique_ptr<PcapPort>> create(std::unique_ptr<Port> inner,
                                                  const DmaMemory& memory, const std::string& path,
                                                  Clock clock);

  /// What one queue has recorded, and what is missing because its file could not be written.
  [[nodiscard]] std::uint64_t recorded(std::size_t queue_index) const;
  [[nodiscard]] std::uint64_t lost(std::size_t queue_index) const;

  [[nodiscard]] const PortCapabilities& capabilities() const override {
    return inner_->capabilities();
  }
  [[nodiscard]] std::size_t queue_count() const override { return queues_.size(); }
  [[nodiscard]] Queue& queue(std::size_t index) override;
  [[nodiscard]] bool link_up() const override { return inner_->link_up(); }
  Result<void> accept_flows(const FlowFilter& filter) override {
    return inner_->accept_flows(filter);
  }
  Result<NextHop> next_hop(const RouteQuery& query) override { return inner_->next_hop(query); }
  [[nodiscard]] std::vector<Statistic> device_statistics() const override {
    return inner_->device_statistics();
  }
  [[nodiscard]] std::string failure() const override { return inner_->failure(); }
  void show_statistics(const std::function<std::vector<Statistic>()>& source) override {
    inner_->show_statistics(source);
  }

 private:
  class PcapQueue final : public Queue {
   public:
    PcapQueue(Queue& inner, PcapFile file, const PcapPort& port);
    std::size_t transmit(std::span<const TxPacket> packets) override;
    int kick() override { return inner_->kick(); }
    int health() override { return inner_->health(); }
    void hurry() override { inner_->hurry(); }
    std::size_t reap(std::span<TxCompletion> completions) override {
      return inner_->reap(completions);
    }
    std::size_t receive(std::span<RxPacket> packets) override;
    void release_received() override { inner_->release_received(); }
    [[nodiscard]] int wait_fd() const override { return inner_->wait_fd(); }
    bool arm_wait() override { return inner_->arm_wait(); }
    [[nodiscard]] Time next_event() const override { return inner_->next_event(); }
    void stop() override;
    [[nodiscard]] const QueueCounters& counters() const override { return inner_->counters(); }
    [[nodiscard]] const PcapFile& file() const { return file_; }

   private:
    Queue* inner_;
    PcapFile file_;
    const PcapPort* port_;
    void record_pieces(Time at, std::span<const std::byte> frame, const TxPacket& packet);

    std::vector<std::byte> gathered_;
    std::vector<std::byte> piece_;  ///< of a packet that the device is to cut
  };

  PcapPort(std::unique_ptr<Port> inner, const DmaMemory& memory, Clock clock);

  std::unique_ptr<Port> inner_;
  DmaMemory memory_;
  Clock clock_;
  std::vector<std::unique_ptr<PcapQueue>> queues_;
};

}  // namespace strictsend::nic
