// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/counter.hpp"
#include "base/result.hpp"
#include "nic/dpdk/ethdev.hpp"
#include "nic/dpdk/port_state.hpp"
#include "nic/dpdk/tx_watchdog.hpp"

namespace strictsend::nic::dpdk {

/// Looks after a port on a thread of its own: keeps the link's state, and resets the device when it
/// asks for that (RTE_ETH_EVENT_INTR_RESET: a VF whose PF was reset) or hangs (TxWatchdog), while
/// its queues stand aside. What was under descriptors stays pinned until the driver has let go of
/// it. A device that cannot be started again, or was removed, is *lost*: the queues then fail with
/// ENODEV, and when the last of them has stopped, and so closed it, it is given back to its bus.
/// Somebody may wait for that: the kernel's removal of a PCI device does until vfio lets it go.
class Watcher final : private EthdevEvents {
 public:
  struct Options {
    bool completes_by_itself = false;  ///< !PortCapabilities::late_completion
    bool can_reset = true;             ///< !DriverFacts::stop_is_final
    bool reset_heals = true;           ///< !DriverFacts::start_keeps_rings
    Duration hang_limit = TxWatchdog::limit_default;
  };
  Watcher(Ethdev& device, PortState& state, const Options& options);
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;
  ~Watcher() { stop(); }

  Result<void> start();
  /// Once the device is closed, or nothing listens to its events.
  void stop();
  /// Any thread.
  void request_reset() { ask(Wish::reset); }
  [[nodiscard]] std::uint64_t resets() const { return resets_.load(std::memory_order_relaxed); }
  /// Those because the device hung. Any thread.
  [[nodiscard]] std::uint64_t hangs() const { return hangs_.get(); }
  /// Why the device was lost, for people; empty: it was not. Any thread.
  [[nodiscard]] std::string failure() const;

 private:
  void on_reset_wanted() override { request_reset(); }
  void on_removed() override { ask(Wish::give_up); }

  enum class Wish : std::uint8_t { none, reset, give_up, end };
  void ask(Wish wish);
  void run();
  void watch_queues(bool link_up);
  void reset(const std::string& why);
  void lose(const std::string& why);
  void give_back();
  [[nodiscard]] bool wait_until_aside();
  /// For something that makes a reset pointless.
  [[nodiscard]] bool has_other_wish() const;

  Ethdev& device_;
  PortState& state_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Wish wish_ = Wish::none;
  std::string failure_;        ///< guarded by mutex_
  bool to_give_back_ = false;  ///< the thread's: lost and not given back yet
  const bool can_reset_;
  const bool reset_heals_;
  TxWatchdog watchdog_;          ///< the thread's
  std::vector<TxSight> sights_;  ///< the thread's
  Counter hangs_;
  std::atomic<std::uint64_t> resets_ = 0;
  std::thread thread_;
};

}  // namespace strictsend::nic::dpdk
