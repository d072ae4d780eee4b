// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/page.hpp"
#include "nic/port.hpp"

namespace strictsend::testing {

/// A port of several queues over one queue of another port: the test chooses on which queue each
/// received packet arrives. Its device stops when all queues were told to. One thread.
class SteeringPort {
 public:
  /// The queue of a packet, given its frame.
  using Steer = std::function<std::size_t(std::span<const std::byte> frame)>;

  SteeringPort(nic::Queue& inner, std::size_t queues, Steer steer);

  [[nodiscard]] nic::Queue& queue(std::size_t index) { return *queues_.at(index); }

 private:
  class SteeredQueue final : public nic::Queue {
   public:
    SteeredQueue(SteeringPort& port, std::uint32_t number) : port_(&port), number_(number) {}
    std::size_t transmit(std::span<const nic::TxPacket> packets) override;
    int kick() override { return port_->inner_->kick(); }
    int health() override { return port_->inner_->health(); }
    void hurry() override { port_->inner_->hurry(); }
    std::size_t reap(std::span<nic::TxCompletion> completions) override;
    std::size_t receive(std::span<nic::RxPacket> packets) override;
    void release_received() override { lent_.clear(); }
    [[nodiscard]] int wait_fd() const override { return -1; }
    bool arm_wait() override { return false; }
    void stop() override;
    [[nodiscard]] const nic::QueueCounters& counters() const override {
      return port_->inner_->counters();
    }

    SteeringPort* port_;
    std::uint32_t number_;
    bool stopped_ = false;
    std::deque<nic::TxCompletion> completed_;
    std::deque<std::vector<std::byte>> arrived_;
    std::vector<std::vector<std::byte>> lent_;
  };

  void reap_inner();
  void receive_inner();

  nic::Queue* inner_;
  Steer steer_;
  std::vector<std::unique_ptr<SteeredQueue>> queues_;
  std::size_t stopped_count_ = 0;
};

}  // namespace strictsend::testing
