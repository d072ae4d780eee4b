// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <span>

#include "apps/strictness/checker/layout.hpp"
#include "apps/strictness/checker/write_log.hpp"

namespace strictsend::checker {

/// CLOCK_MONOTONIC, which does not go back between CPUs: the clock of the log and of the submits
/// that are checked against it.
inline std::int64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

/// Stores words through a writable mapping of the whole file.
class MappedStore {
 public:
  explicit MappedStore(std::span<std::byte> mapping)
      : words_(reinterpret_cast<std::uint64_t*>(mapping.data())) {}
  void operator()(std::uint64_t word, std::uint64_t value) const {
    std::atomic_ref<std::uint64_t>(words_[word]).store(value, std::memory_order_relaxed);
  }

 private:
  std::uint64_t* words_;
};

/// A store has ended once others can see it, not when it sits in a store buffer; this waits for
/// that, so that a clock read afterwards is later.
inline void drain_stores() {
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
  // TSan does not model fences; this one orders nothing that TSan has to see.
#pragma GCC diagnostic ignored "-Wtsan"
#endif
  std::atomic_thread_fence(std::memory_order_seq_cst);
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
}

/// No rest between batches.
inline void full_speed(std::uint64_t /*writes*/) {}

/// Writes as fast as `store(word, value)` takes it until `stop` is set or the log is full. It
/// shares nothing with whoever sends the file: no lock, no flag, no pause. `stop` has one writer,
/// the thread that will join this one; relaxed, since joining orders the log. `pace(writes)` is
/// called between batches, for writers that rest.
template <class Store, class Clock = std::int64_t (*)(), class Pace = void (*)(std::uint64_t)>
void write_until(const std::atomic<bool>& stop, const Layout& layout, std::uint32_t writer,
                 WriteLog& log, Store store, Clock now_ns = monotonic_ns, Pace pace = full_speed) {
  std::uint64_t number = 0;
  while (!stop.load(std::memory_order_relaxed) && !log.full()) {
    drain_stores();  // of the batch before; those that follow cannot overtake the reading of the
                     // clock
    log.begin_batch(now_ns());
    for (std::uint64_t i = 0; i < WriteLog::batch_writes; ++i) {
      ++number;
      store(layout.word_of(writer, number), Layout::value_of(writer, number));
    }
    pace(number);
  }
  drain_stores();
  log.finish(number == 0 ? 0 : WriteLog::batch_writes, now_ns());
}

}  // namespace strictsend::checker
