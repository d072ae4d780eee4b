// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "base/result.hpp"
#include "nic/dpdk/ethdev.hpp"
#include "nic/dpdk/port_state.hpp"

namespace strictsend::nic::dpdk {

/// Looks after a port on a thread of its own: keeps the link's state, and resets the device when it
/// asks for that (RTE_ETH_EVENT_INTR_RESET: a VF whose PF was reset) while its queues stand aside.
/// What was under descriptors stays pinned until the driver has let go of it. A device that cannot
/// be started again, or was removed, is *lost*: the queues then fail with ENODEV.
class Watcher final : private EthdevEvents {
 public:
  Watcher(Ethdev& device, PortState& state) : device_(device), state_(state) {}
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;
  ~Watcher() { stop(); }

  Result<void> start();
  /// Once the device is closed, or nothing listens to its events.
  void stop();
  /// Any thread.
  void request_reset() { ask(Wish::reset); }
  [[nodiscard]] std::uint64_t resets() const { return resets_.load(std::memory_order_relaxed); }

 private:
  void on_reset_wanted() override { request_reset(); }
  void on_removed() override { ask(Wish::give_up); }

  enum class Wish : std::uint8_t { none, reset, give_up, end };
  void ask(Wish wish);
  void run();
  void reset();
  void lose(const char* why);
  [[nodiscard]] bool wait_until_aside();

  Ethdev& device_;
  PortState& state_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Wish wish_ = Wish::none;
  std::atomic<std::uint64_t> resets_ = 0;
  std::thread thread_;
};

}  // namespace strictsend::nic::dpdk
