// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/page_rewriter.hpp"

#include <chrono>
#include <random>

#include "base/page.hpp"

namespace strictsend::bench {
namespace {

/// How often what is due is written: fine enough to be even, and few wake-ups.
constexpr std::chrono::milliseconds period{1};

}  // namespace

PageRewriter::PageRewriter(std::span<std::byte> mapping, double pages_per_second,
                           std::uint64_t seed)
    : mapping_(mapping), pages_per_second_(pages_per_second), seed_(seed) {
  if (pages_per_second > 0) thread_ = std::thread([this] { run(); });
}

void PageRewriter::stop() {
  stopping_.store(true, std::memory_order_relaxed);
  if (thread_.joinable()) thread_.join();
}

void PageRewriter::run() {
  std::mt19937_64 random(seed_);
  const std::uint64_t page_count = mapping_.size() / page_bytes;
  const auto begin = std::chrono::steady_clock::now();
  auto wake_at = begin;
  std::uint64_t written = 0;
  while (!stopping_.load(std::memory_order_relaxed)) {
    wake_at += period;
    std::this_thread::sleep_until(wake_at);
    const double elapsed =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    const auto due = static_cast<std::uint64_t>(elapsed * pages_per_second_);
    while (written < due && !stopping_.load(std::memory_order_relaxed)) {
      const std::uint64_t at = random() % page_count * page_bytes + random() % 512 * 8;
      *reinterpret_cast<volatile std::uint64_t*>(mapping_.data() + at) = random();
      pages_.store(++written, std::memory_order_relaxed);
    }
  }
}

}  // namespace strictsend::bench
