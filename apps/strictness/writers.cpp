// SPDX-License-Identifier: Apache-2.0
#include "apps/strictness/writers.hpp"

#include <algorithm>

#include "apps/strictness/checker/writer.hpp"

namespace strictsend::strictness {
namespace {

/// Between batches: nothing for the first half of the budget, then a short rest after every so many
/// writes. A rest lies between two writes like any other time, and takes no strictness from them.
class Pace {
 public:
  explicit Pace(const WriteBudget& budget) : full_speed_writes_(budget.writes_max / 2) {
    const auto rests = static_cast<std::uint64_t>(std::chrono::milliseconds(budget.lasts).count());
    writes_a_rest_ =
        std::max<std::uint64_t>(full_speed_writes_ / std::max<std::uint64_t>(rests, 1), 1);
    next_rest_ = full_speed_writes_ + writes_a_rest_;
  }
  void operator()(std::uint64_t writes) {
    if (writes < next_rest_) return;
    next_rest_ = writes + writes_a_rest_;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

 private:
  std::uint64_t full_speed_writes_;
  std::uint64_t writes_a_rest_ = 1;
  std::uint64_t next_rest_ = 0;
};

/// Stores words through the file API.
class ApiStore {
 public:
  ApiStore(File file, std::atomic<int>& error) : file_(std::move(file)), error_(error) {}
  void operator()(std::uint64_t word, std::uint64_t value) {
    const auto written = file_.write(std::as_bytes(std::span(&value, 1)), word * 8);
    if (!written) error_.store(written.error().errno_value, std::memory_order_relaxed);
  }

 private:
  File file_;
  std::atomic<int>& error_;
};

}  // namespace

Writers::Writers(const checker::Layout& layout, std::span<std::byte> mapping,
                 const WriteBudget& budget) {
  make_logs(layout, budget);
  for (std::uint32_t w = 0; w < layout.writers(); ++w) {
    threads_.emplace_back([this, &layout, mapping, w, pace = Pace(budget)]() mutable {
      checker::write_until(stop_, layout, w, logs_[w], checker::MappedStore(mapping),
                           checker::monotonic_ns, pace);
    });
  }
}

Writers::Writers(const checker::Layout& layout, const File& file, const WriteBudget& budget) {
  make_logs(layout, budget);
  for (std::uint32_t w = 0; w < layout.writers(); ++w) {
    threads_.emplace_back([this, &layout, file, w, pace = Pace(budget)]() mutable {
      checker::write_until(stop_, layout, w, logs_[w], ApiStore(file, error_),
                           checker::monotonic_ns, pace);
    });
  }
}

void Writers::make_logs(const checker::Layout& layout, const WriteBudget& budget) {
  logs_.reserve(layout.writers());
  for (std::uint32_t w = 0; w < layout.writers(); ++w)
    logs_.emplace_back(budget.writes_max);
}

void Writers::join() {
  stop_.store(true, std::memory_order_relaxed);
  for (std::thread& thread : threads_)
    thread.join();
  threads_.clear();
}

std::uint64_t Writers::writes() const {
  std::uint64_t writes = 0;
  for (const checker::WriteLog& log : logs_)
    writes += log.writes();
  return writes;
}

}  // namespace strictsend::strictness
