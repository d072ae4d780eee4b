// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <strictsend/result.hpp>

namespace strictsend::checker {

/// When one writer's writes began and ended, at half a byte a write: the clock is read once before
/// every batch of 16 writes, so that a write lies between the stamps around its batch:
///
///     stamp 0   writes 1 … 16   stamp 1   writes 17 … 32   stamp 2   33 … 40   end stamp
///
/// That makes both answers below conservative: the checker never blames a snapshot for a write
/// whose instant is not known well enough.
///
/// Filled by the writer's thread alone, read after that thread was joined. Its memory is taken, and
/// touched, when it is made: recording never allocates.
class WriteLog {
 public:
  static constexpr std::uint64_t batch_writes = 16;

  explicit WriteLog(std::uint64_t writes_max)
      : stamps_ns_((writes_max + batch_writes - 1) / batch_writes) {}

  /// A finished log as another process wrote it. `stamps_ns` must rise from 0 or more to `end_ns`,
  /// and be as many as `writes` need.
  static Result<WriteLog> restore(std::vector<std::int64_t> stamps_ns, std::uint64_t writes,
                                  std::int64_t end_ns);

  // The writer.
  [[nodiscard]] bool full() const { return batches_ == stamps_ns_.size(); }
  /// A batch begins now, unless `full`; what came before it has ended.
  void begin_batch(std::int64_t now_ns) { stamps_ns_[batches_++] = now_ns; }
  /// The writer stops: the last batch has `last_batch_writes` writes, all ended.
  void finish(std::uint64_t last_batch_writes, std::int64_t now_ns) {
    writes_ = batches_ == 0 ? 0 : (batches_ - 1) * batch_writes + last_batch_writes;
    end_ns_ = now_ns;
  }

  // The checker, after `finish`.
  [[nodiscard]] std::uint64_t writes() const { return writes_; }
  [[nodiscard]] std::span<const std::int64_t> stamps_ns() const {
    return std::span(stamps_ns_).first(batches_);
  }
  [[nodiscard]] std::int64_t end_ns() const { return end_ns_; }
  /// The writes 1 … n that had certainly ended before `instant_ns`.
  [[nodiscard]] std::uint64_t certainly_ended_before(std::int64_t instant_ns) const;
  /// The writes 1 … n that may have begun at or before `instant_ns`.
  [[nodiscard]] std::uint64_t possibly_begun_by(std::int64_t instant_ns) const;
  /// The longest time between two stamps: no write took longer, and 16 of them did not together.
  [[nodiscard]] std::int64_t longest_batch_ns() const;

 private:
  std::vector<std::int64_t> stamps_ns_;
  std::size_t batches_ = 0;
  std::uint64_t writes_ = 0;
  std::int64_t end_ns_ = 0;
};

}  // namespace strictsend::checker
