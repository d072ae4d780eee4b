// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <thread>
#include <vector>

#include "apps/strictness/checker/layout.hpp"
#include "apps/strictness/checker/write_log.hpp"
#include <strictsend/file.hpp>

namespace strictsend::strictness {

/// How many writes a writer may make, and how long they must last at least. A writer goes at full
/// speed for the first half of them, and then rests now and then so that the other half lasts.
struct WriteBudget {
  std::uint64_t writes_max = 0;  ///< half a byte of memory each
  std::chrono::seconds lasts{0};
};

/// Threads that rewrite a file, one for each writer of the layout. They share no lock, flag or
/// pause with the engine. Stopped and joined by `join` or the destructor; layout and mapping
/// outlive them.
class Writers {
 public:
  /// Through the file's writable mapping, at most `writes_max` by each.
  Writers(const checker::Layout& layout, std::span<std::byte> mapping, const WriteBudget& budget);
  /// Through File::write, a word at a time.
  Writers(const checker::Layout& layout, const File& file, const WriteBudget& budget);
  Writers(const Writers&) = delete;
  Writers& operator=(const Writers&) = delete;
  ~Writers() { join(); }

  void join();
  /// After `join`.
  [[nodiscard]] const std::vector<checker::WriteLog>& logs() const { return logs_; }
  [[nodiscard]] std::uint64_t writes() const;
  /// The errno of a write that failed, which spoils the log; 0: none did.
  [[nodiscard]] int error() const { return error_.load(std::memory_order_relaxed); }

 private:
  void make_logs(const checker::Layout& layout, const WriteBudget& budget);

  std::atomic<bool> stop_ = false;
  std::atomic<int> error_ = 0;  // of any writer; read for good after the join, which orders it
  std::vector<checker::WriteLog> logs_;
  std::vector<std::thread> threads_;
};

}  // namespace strictsend::strictness
