// SPDX-License-Identifier: Apache-2.0
#include "nic/dpdk/watcher.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <spdlog/spdlog.h>

#include "base/clock.hpp"
#include "base/thread.hpp"
#include "nic/dpdk/ethdev.hpp"

namespace strictsend::nic::dpdk {
namespace {

constexpr std::chrono::milliseconds link_period{200};
/// Engine threads look at their queues every second at least, and every millisecond while packets
/// are out.
constexpr Duration aside_limit = seconds(5);

}  // namespace

Watcher::Watcher(Ethdev& device, PortState& state, const Options& options)
    : device_(device),
      state_(state),
      can_reset_(options.can_reset),
      reset_heals_(options.reset_heals),
      watchdog_(state.queues, options.completes_by_itself, options.hang_limit),
      sights_(state.queues) {}

Result<void> Watcher::start() {
  state_.link_up.store(device_.is_link_up(), std::memory_order_relaxed);
  auto thread = start_thread("strictsend-link", [this] { run(); });
  if (!thread) return tl::unexpected(thread.error());
  thread_ = *std::move(thread);
  device_.tell_events(*this);
  return {};
}

void Watcher::stop() {
  if (!thread_.joinable()) return;
  ask(Wish::end);
  thread_.join();
}

void Watcher::ask(Wish wish) {
  {
    const std::lock_guard lock(mutex_);
    wish_ = std::max(wish_, wish);
  }
  changed_.notify_all();
}

void Watcher::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait_for(lock, link_period, [this] { return wish_ != Wish::none; });
    const Wish wish = std::exchange(wish_, Wish::none);
    if (wish == Wish::end) return;
    lock.unlock();
    if (wish == Wish::reset) reset("that was asked for");
    if (wish == Wish::give_up || device_.is_removed())
      lose("it was removed from its bus, or is about to be");
    if (to_give_back_) give_back();
    if (state_.phase.load(std::memory_order_relaxed) == PortState::Phase::running) {
      const bool up = device_.is_link_up();
      if (up != state_.link_up.exchange(up, std::memory_order_relaxed))
        spdlog::warn("{}: link {}", device_.facts().name, up ? "up" : "down");
      if (can_reset_) watch_queues(up);
    }
    lock.lock();
  }
}

void Watcher::watch_queues(bool link_up) {
  // From the first queue's stop on the device is on its way to be closed.
  if (state_.stopped.load(std::memory_order_acquire) > 0) return;
  for (std::uint32_t i = 0; i < state_.queues; ++i)
    sights_[i] = state_.tx[i].look();
  // Where a reset would heal nothing, a device that stalls is waited for, as long as writers can.
  const auto found =
      reset_heals_ ? watchdog_.observe(monotonic_now(), link_up, sights_) : std::nullopt;
  const bool hurried = state_.hurried.exchange(false, std::memory_order_relaxed);
  if (found && found->is_lost) return lose("it hangs: " + found->why);
  if (found) {
    hangs_.add();
    reset("it hangs: " + found->why);
  } else if (hurried) {
    reset("a writer waits for pages that it has not completed");
  }
}

void Watcher::reset(const std::string& why) {
  PortState::Phase expected = PortState::Phase::running;
  if (!state_.phase.compare_exchange_strong(expected, PortState::Phase::resetting,
                                            std::memory_order_seq_cst))
    return;
  if (!wait_until_aside()) {
    if (!has_other_wish()) lose("its queues did not come to rest for a reset");
    return;
  }
  for (std::uint32_t i = 0; i < state_.queues; ++i)
    sights_[i] = state_.tx[i].look();
  watchdog_.note_reset(sights_);
  if (const Result<void> done = device_.reset(); !done) return lose(done.error().message());
  if (state_.phase.load(std::memory_order_seq_cst) == PortState::Phase::closed) return;
  resets_.fetch_add(1, std::memory_order_relaxed);
  spdlog::warn("{}: reset, because {}", device_.facts().name, why);
  expected = PortState::Phase::resetting;
  state_.phase.compare_exchange_strong(expected, PortState::Phase::running,
                                       std::memory_order_seq_cst);
}

bool Watcher::wait_until_aside() {
  const Time limit = monotonic_now() + aside_limit;
  std::uint32_t queue = 0;
  while (queue < state_.queues) {
    if (state_.aside[queue].load(std::memory_order_seq_cst)) {
      ++queue;
      continue;
    }
    if (monotonic_now() > limit || has_other_wish()) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return true;
}

bool Watcher::has_other_wish() const {
  const std::lock_guard lock(mutex_);
  return wish_ >= Wish::give_up;
}

void Watcher::lose(const std::string& why) {
  PortState::Phase phase = state_.phase.load(std::memory_order_relaxed);
  if (phase == PortState::Phase::lost || phase == PortState::Phase::closed) return;
  spdlog::error("{}: the device is lost: {}", device_.facts().name, why);
  {
    const std::lock_guard lock(mutex_);
    failure_ = why;
  }
  to_give_back_ = true;
  state_.link_up.store(false, std::memory_order_relaxed);
  while (phase != PortState::Phase::closed &&
         !state_.phase.compare_exchange_weak(phase, PortState::Phase::lost,
                                             std::memory_order_seq_cst)) {
  }
}

/// Here and not where the last queue stops: its callbacks may be running on other threads there.
void Watcher::give_back() {
  if (state_.phase.load(std::memory_order_acquire) != PortState::Phase::closed) return;
  to_give_back_ = false;
  device_.detach();
}

std::string Watcher::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

}  // namespace strictsend::nic::dpdk
