// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "base/assert.hpp"
#include "base/clock.hpp"
#include "engine/transport/pacer.hpp"
#include "engine/transport/udp/outstanding.hpp"
#include "engine/transport/udp/slices.hpp"

namespace strictsend::udp {

/// A splice as its datagram flow sees it: what is still to be sent, and what the device has of it.
/// Whatever stands for a splice derives from it; a batch is in one flow's queue at most, and leaves
/// it with its last datagram.
struct Batch {
  Slices slices;
  Outstanding outstanding;
  Batch* behind = nullptr;  ///< the next one in the flow's queue

  /// Below this offset in the range nothing will be read any more.
  [[nodiscard]] std::uint64_t complete_to() const {
    return outstanding.complete_to(slices.handed_over_to());
  }
};

/// What a datagram flow decides: which slice of which batch goes next, and when. Batches go one
/// after the other, in the order in which they were appended. Pure: the time is given, and nothing
/// is allocated, for the batches are the caller's.
class Sender {
 public:
  /// Anew. `rate_bytes_per_s`: of UDP's payload; 0: without limit.
  void open(std::uint64_t rate_bytes_per_s) {
    *this = Sender{};
    pacer_.set(rate_bytes_per_s, 0);
  }
  void append(Batch& batch) {
    batch.behind = nullptr;
    (tail_ != nullptr ? tail_->behind : head_) = &batch;
    tail_ = &batch;
  }

  /// The batch at the front; null: there is nothing to be sent.
  [[nodiscard]] Batch* front() const { return head_; }
  /// Its next slice, if there is one and the rate allows it now.
  [[nodiscard]] std::optional<Slice> next(Time now) const {
    if (head_ == nullptr || !pacer_.allows(now)) return std::nullopt;
    return head_->slices.next();
  }
  /// That slice was handed over, in a datagram with so much UDP payload, of which `datagram` keeps
  /// account. The batch leaves the queue with its last one.
  void sent(InFlight& datagram, std::uint32_t payload_bytes, Time now) {
    STRICTSEND_ASSERT(head_ != nullptr);
    Batch& batch = *head_;
    pacer_.sent(payload_bytes, now);
    batch.outstanding.handed_over(datagram, batch.slices.next().offset);
    batch.slices.advance();
    if (batch.slices.done()) remove(batch);
  }
  /// Nothing more of it is sent: it was cancelled, or has failed, or is done.
  void remove(Batch& batch) {
    Batch* before = nullptr;
    for (Batch* at = head_; at != &batch; at = at->behind)
      before = at;
    (before != nullptr ? before->behind : head_) = batch.behind;
    if (tail_ == &batch) tail_ = before;
    batch.behind = nullptr;
  }

  /// When `next` has something, if nothing is appended meanwhile.
  [[nodiscard]] Time release_at() const {
    return head_ != nullptr ? pacer_.release_at() : Time::never();
  }

 private:
  transport::Pacer pacer_;
  Batch* head_ = nullptr;
  Batch* tail_ = nullptr;
};

}  // namespace strictsend::udp
