// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "engine/exchange/splice_op.hpp"

namespace strictsend::engine {

/// What a connection sends: its splices in order, laid end to end in a stream of 64-bit offsets.
/// TCP speaks of offsets; this finds the splice that they fall into. Engine thread.
///
///     ack'd ▼                 ▼ sent
///     ──────[ op ][   op   ][ op  ]───▶ end
///           head     cursor_  tail
class SendStream {
 public:
  void append(SpliceOp& op) {
    op.stream_begin = end_;
    op.stream_next = nullptr;
    end_ += op.stream_bytes();
    if (tail_ == nullptr) {
      head_ = cursor_ = &op;
    } else {
      tail_->stream_next = &op;
    }
    tail_ = &op;
  }

  /// The splice that holds `offset`, which must be at or above the head's begin and below the end;
  /// the search goes on from where it last was, for new data is asked for in order.
  [[nodiscard]] SpliceOp* find(std::uint64_t offset) {
    if (cursor_ == nullptr || offset < cursor_->stream_begin) cursor_ = head_;
    while (cursor_ != nullptr && offset >= cursor_->stream_end())
      cursor_ = cursor_->stream_next;
    return cursor_;
  }

  [[nodiscard]] SpliceOp* head() const { return head_; }
  [[nodiscard]] std::uint64_t end() const { return end_; }
  [[nodiscard]] bool empty() const { return head_ == nullptr; }

  /// Takes the oldest splice off.
  void pop_front() {
    SpliceOp* op = head_;
    head_ = op->stream_next;
    if (cursor_ == op) cursor_ = head_;
    if (tail_ == op) tail_ = nullptr;
    op->stream_next = nullptr;
  }

  /// Takes out a splice of which nothing has been sent: those behind it move up.
  void remove_unsent(SpliceOp& op) {
    SpliceOp* before = nullptr;
    for (SpliceOp* at = head_; at != &op; at = at->stream_next)
      before = at;
    for (SpliceOp* at = op.stream_next; at != nullptr; at = at->stream_next) {
      at->stream_begin -= op.stream_bytes();
    }
    end_ -= op.stream_bytes();
    (before != nullptr ? before->stream_next : head_) = op.stream_next;
    if (tail_ == &op) tail_ = before;
    cursor_ = head_;
    op.stream_next = nullptr;
  }

  void reset() { *this = SendStream{}; }

 private:
  SpliceOp* head_ = nullptr;
  SpliceOp* cursor_ = nullptr;
  SpliceOp* tail_ = nullptr;
  std::uint64_t end_ = 0;
};

}  // namespace strictsend::engine
