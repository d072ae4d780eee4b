// SPDX-License-Identifier: Apache-2.0
#include "engine/loop/loop_thread.hpp"

#include <algorithm>
#include <array>
#include <poll.h>
#include <utility>

#include "base/assert.hpp"
#include "base/thread.hpp"

namespace strictsend::engine {
namespace {

constexpr Duration counters_every = milliseconds(100);

}  // namespace

Result<std::unique_ptr<LoopThread>> LoopThread::start(std::unique_ptr<QueueLoop> loop,
                                                      nic::Queue& queue, WakeUp& wake_up,
                                                      Duration spin) {
  std::unique_ptr<LoopThread> made(new LoopThread(std::move(loop), queue, wake_up, spin));
  auto thread = start_thread("strictsend-nic", [raw = made.get()] { raw->run(); });
  if (!thread) return tl::unexpected(thread.error());
  made->thread_ = *std::move(thread);
  return made;
}

LoopThread::LoopThread(std::unique_ptr<QueueLoop> loop, nic::Queue& queue, WakeUp& wake_up,
                       Duration spin)
    : loop_(std::move(loop)), queue_(queue), spin_(spin), wake_up_(wake_up) {}

LoopThread::~LoopThread() {
  if (!thread_.joinable()) return;  // concluded, or never started
  request_stop();
  join();
  conclude();
}

void LoopThread::drain() {
  phase_.store(Phase::draining, std::memory_order_seq_cst);
  wake_up_.wake_surely();
}

void LoopThread::request_stop() {
  phase_.store(Phase::stopping, std::memory_order_seq_cst);
  wake_up_.wake_surely();
}

void LoopThread::join() {
  if (thread_.joinable()) thread_.join();
}

std::uint32_t LoopThread::conclude() {
  STRICTSEND_ASSERT(!thread_.joinable());
  if (concluded_) return packets_quarantined_;
  concluded_ = true;
  loop_->take_commands();
  loop_->publish();
  packets_quarantined_ = loop_->quarantine();
  return packets_quarantined_;
}

void LoopThread::run() {
  bool draining = false;
  Time idle_since = monotonic_now();
  while (true) {
    const Time now = monotonic_now();
    const Phase phase = phase_.load(std::memory_order_acquire);
    if (phase == Phase::stopping) break;
    if (phase == Phase::draining && !draining) {
      draining = true;
      loop_->listen(0);
      loop_->poll(now);  // attaches what was submitted before
      loop_->finish_all(now);
    }
    const bool worked = loop_->poll(now);
    quiet_.store(draining && loop_->quiet(), std::memory_order_release);
    if (now - counters_copied_ >= counters_every) copy_nic_counters(now);
    if (worked || loop_->has_work()) {
      idle_since = now;
    } else if (now - idle_since >= spin_) {
      sleep_until(loop_->next_deadline());
      idle_since = monotonic_now();
    }
  }
  shut_down();
}

void LoopThread::shut_down() {
  const Time begin = monotonic_now();
  loop_->listen(0);
  loop_->poll(begin);
  loop_->abort_all(begin, ECONNABORTED);
  // The resets leave if the device takes them; what it does not take in a moment is given up.
  while (loop_->packets_outstanding() > 0 || loop_->has_work()) {
    const Time now = monotonic_now();
    if (now - begin > milliseconds(100)) break;
    loop_->poll(now);
  }
  loop_->abort_all(monotonic_now(), ECONNABORTED);  // handshakes that ended meanwhile
  loop_->stop_device();
  copy_nic_counters(monotonic_now());
}

void LoopThread::copy_nic_counters(Time now) {
  nic_counters_.copy(queue_.counters());
  counters_copied_ = now;
}

void LoopThread::sleep_until(Time deadline) {
  copy_nic_counters(monotonic_now());
  wake_up_.prepare();
  if (loop_->intakes_empty() && !loop_->pages_have_come() && !loop_->must_stop_device() &&
      phase_.load(std::memory_order_seq_cst) != Phase::stopping &&
      (loop_->stopped() || queue_.arm_wait())) {
    const int device_fd = loop_->stopped() ? -1 : queue_.wait_fd();
    std::array<pollfd, 2> fds{{{wake_up_.fd(), POLLIN, 0}, {device_fd, POLLIN, 0}}};
    // A negative descriptor is ignored by poll(2); such a port is looked at every millisecond.
    Time limit = monotonic_now() + (device_fd < 0 ? milliseconds(1) : seconds(1));
    if (loop_->packets_outstanding() > 0) limit = monotonic_now() + milliseconds(1);
    const Duration wait = std::max(std::min(deadline, limit) - monotonic_now(), Duration{0});
    const timespec timeout{wait.ns / 1'000'000'000, wait.ns % 1'000'000'000};
    if (::ppoll(fds.data(), fds.size(), &timeout, nullptr) > 0 && (fds[0].revents & POLLIN) != 0) {
      wake_up_.clear();
    }
  }
  wake_up_.done();
}

}  // namespace strictsend::engine
