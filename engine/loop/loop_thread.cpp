// SPDX-License-Identifier: Apache-2.0
#include "engine/loop/loop_thread.hpp"

#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>
#include <utility>

#include "base/thread.hpp"

namespace strictsend::engine {

Result<std::unique_ptr<LoopThread>> LoopThread::start(std::unique_ptr<QueueLoop> loop,
                                                      nic::Queue& queue, Duration spin) {
  UniqueFd wake_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_fd.valid()) return fail("eventfd", errno, "raise RLIMIT_NOFILE (ulimit -n)");
  std::unique_ptr<LoopThread> made(
      new LoopThread(std::move(loop), queue, spin, std::move(wake_fd)));
  auto thread = start_thread("strictsend-nic", [raw = made.get()] { raw->run(); });
  if (!thread) return tl::unexpected(thread.error());
  made->thread_ = *std::move(thread);
  return made;
}

LoopThread::LoopThread(std::unique_ptr<QueueLoop> loop, nic::Queue& queue, Duration spin,
                       UniqueFd wake_fd)
    : loop_(std::move(loop)), queue_(queue), spin_(spin), wake_fd_(std::move(wake_fd)) {}

LoopThread::~LoopThread() {
  stop();
}

void LoopThread::wake() {
  if (sleeping_.load(std::memory_order_seq_cst)) ::eventfd_write(wake_fd_.get(), 1);
}

void LoopThread::drain() {
  phase_.store(Phase::draining, std::memory_order_seq_cst);
  ::eventfd_write(wake_fd_.get(), 1);
}

void LoopThread::stop() {
  if (!thread_.joinable()) return;
  phase_.store(Phase::stopping, std::memory_order_seq_cst);
  ::eventfd_write(wake_fd_.get(), 1);
  thread_.join();
  // What application threads asked for after the last turn.
  loop_->take_commands();
  loop_->publish();
  packets_quarantined_ = loop_->quarantine();
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
}

void LoopThread::sleep_until(Time deadline) {
  sleeping_.store(true, std::memory_order_seq_cst);
  if (loop_->intakes_empty() && phase_.load(std::memory_order_seq_cst) != Phase::stopping &&
      (loop_->stopped() || queue_.arm_wait())) {
    const int device_fd = loop_->stopped() ? -1 : queue_.wait_fd();
    std::array<pollfd, 2> fds{{{wake_fd_.get(), POLLIN, 0}, {device_fd, POLLIN, 0}}};
    // A negative descriptor is ignored by poll(2); such a port is looked at every millisecond.
    Time limit = monotonic_now() + (device_fd < 0 ? milliseconds(1) : seconds(1));
    if (loop_->packets_outstanding() > 0) limit = monotonic_now() + milliseconds(1);
    const Duration wait = std::max(std::min(deadline, limit) - monotonic_now(), Duration{0});
    const timespec timeout{wait.ns / 1'000'000'000, wait.ns % 1'000'000'000};
    if (::ppoll(fds.data(), fds.size(), &timeout, nullptr) > 0 && (fds[0].revents & POLLIN) != 0) {
      eventfd_t count = 0;
      ::eventfd_read(wake_fd_.get(), &count);
    }
  }
  sleeping_.store(false, std::memory_order_relaxed);
}

}  // namespace strictsend::engine
