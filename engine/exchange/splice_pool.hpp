// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/exchange/splice_op.hpp"

namespace strictsend::engine {

/// The fixed pool of splice slots. Application threads alone take and give back, under the lock of
/// their engine; the engine threads never see a free slot.
class SplicePool {
 public:
  explicit SplicePool(std::uint32_t count)
      : slots_(std::make_unique<SpliceOp[]>(count)), count_(count) {
    free_.reserve(count);
    for (std::uint32_t i = count; i-- > 0;) {
      slots_[i].index = i;
      free_.push_back(i);
    }
  }

  /// A slot with a new generation and everything else as new, or nullptr.
  [[nodiscard]] SpliceOp* take() {
    if (free_.empty()) return nullptr;
    SpliceOp& op = slots_[free_.back()];
    free_.pop_back();
    ++op.generation;
    op.in_use = true;
    op.notify_sent = op.finished = op.sent_posted = false;
    op.cancel_requested.store(false, std::memory_order_relaxed);
    op.kind = AnyFlow::Kind::connection;
    op.sequence = op.byte_offset = {};
    op.slices = {};
    op.stream_begin = 0;
    op.descriptors_out = 0;
    op.result = op.sent_result = SpliceResult{};
    return &op;
  }

  void give_back(SpliceOp& op) {
    op.in_use = false;
    op.header = {};  // their memory too: what waits is bounded, what once waited is not kept
    op.trailer = {};
    free_.push_back(op.index);
  }

  /// The slot that this id names, or nullptr when it names one no longer in use.
  [[nodiscard]] SpliceOp* find(std::uint64_t id) {
    const auto index = static_cast<std::uint32_t>(id);
    if (index >= count_) return nullptr;
    SpliceOp& op = slots_[index];
    return op.in_use && op.id() == id ? &op : nullptr;
  }

  [[nodiscard]] std::uint32_t in_use() const {
    return count_ - static_cast<std::uint32_t>(free_.size());
  }
  [[nodiscard]] std::uint64_t memory_bytes() const {
    return std::uint64_t{count_} * (sizeof(SpliceOp) + 4);
  }

 private:
  std::unique_ptr<SpliceOp[]> slots_;
  std::uint32_t count_;
  std::vector<std::uint32_t> free_;
};

}  // namespace strictsend::engine
