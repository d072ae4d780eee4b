// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/userfaultfd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <poll.h>
#include <pthread.h>
#include <stdexcept>
#include <thread>
#include <unistd.h>

#include "base/clock.hpp"
#include "base/page.hpp"
#include "tests/kernel/uffd_lab.hpp"

namespace strictsend::bench {

/// What a write-protect fault costs at least: pages on the same kind of memory as a cache's, and a
/// thread that does nothing but lift their protection. It waits for faults as the cache's guard
/// does (poll, and after a fault some reads before the next poll), so that the difference to the
/// guard is the guard's own work.
class BareFault {
 public:
  static constexpr const char* thread_name = "bare-handler";

  explicit BareFault(std::size_t pages) : lab_(pages), thread_([this] { run(); }) {
    ::pthread_setname_np(thread_.native_handle(), thread_name);
    // Populated once, so that only protection faults are left.
    if (lab_.install(0, true, pages) != 0) throw std::runtime_error("UFFDIO_CONTINUE failed");
  }
  BareFault(const BareFault&) = delete;
  BareFault& operator=(const BareFault&) = delete;
  ~BareFault() {
    stopping_.store(true);
    thread_.join();
  }

  [[nodiscard]] std::byte* page(std::size_t number) const { return lab_.mapping(number); }
  /// The same memory past the protection.
  [[nodiscard]] std::byte* view(std::size_t number) const { return lab_.view(number); }
  void protect(std::size_t number) const {
    if (lab_.protect(number) != 0) throw std::runtime_error("UFFDIO_WRITEPROTECT failed");
  }

 private:
  static constexpr int reads_before_sleep = 32;
  static constexpr int sleep_ms = 20;  // how late it sees `stopping_`
  static constexpr Duration tick = milliseconds(1);

  /// The shape of Guard::run, so that it is asleep, or not, when the guard would be.
  void run() const {
    int reads_left = 0;
    Time next_tick;
    while (!stopping_.load()) {
      if (answer()) reads_left = reads_before_sleep;
      if (const Time now = monotonic_now(); now >= next_tick) next_tick = now + tick;
      if (reads_left > 0) {
        --reads_left;
        continue;
      }
      pollfd ready{lab_.uffd(), POLLIN, 0};
      ::poll(&ready, 1, sleep_ms);
    }
  }
  [[nodiscard]] bool answer() const {
    std::array<uffd_msg, 16> messages{};
    const ssize_t bytes = ::read(lab_.uffd(), messages.data(), sizeof messages);
    if (bytes <= 0) return false;
    for (std::size_t i = 0; i < static_cast<std::size_t>(bytes) / sizeof(uffd_msg); ++i) {
      const std::uint64_t address = messages[i].arg.pagefault.address & ~(page_bytes - 1);
      (void)lab_.unprotect((address - test::UffdLab::address(lab_.mapping())) / page_bytes);
    }
    return true;
  }

  test::UffdLab lab_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace strictsend::bench
