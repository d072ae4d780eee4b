// SPDX-License-Identifier: Apache-2.0
#include "pagecache/transfer.hpp"

#include <algorithm>
#include <cerrno>

#include "base/assert.hpp"

namespace strictsend::pagecache {

Transfer::Transfer(IoDirection direction, std::span<const IoPiece> pieces, std::uint32_t depth,
                   std::uint32_t request_bytes_max, std::uint32_t alignment_bytes)
    : direction_(direction),
      pieces_(pieces),
      request_bytes_max_(request_bytes_max),
      alignment_bytes_(alignment_bytes),
      slots_(depth) {
  STRICTSEND_ASSERT(depth > 0);
  STRICTSEND_ASSERT(alignment_bytes > 0 && request_bytes_max % alignment_bytes == 0);
  for (std::uint32_t i = 0; i < depth; ++i)
    slots_[i].request.slot = i;
}

bool Transfer::has_work() const {
  if (stopped_) return false;
  if (waiting_ > 0) return true;
  for (std::size_t i = piece_; i < pieces_.size(); ++i)
    if (pieces_[i].length_bytes > (i == piece_ ? piece_bytes_ : 0)) return true;
  return false;
}

bool Transfer::next(Request& request) {
  if (stopped_) return false;
  Slot* idle = nullptr;
  for (Slot& slot : slots_) {
    if (slot.state == Slot::State::again) {
      slot.state = Slot::State::flying;
      --waiting_;
      ++in_flight_;
      request = slot.request;
      return true;
    }
    if (slot.state == Slot::State::idle && idle == nullptr) idle = &slot;
  }
  while (piece_ < pieces_.size() && pieces_[piece_].length_bytes == piece_bytes_) {
    ++piece_;
    piece_bytes_ = 0;
  }
  if (idle == nullptr || piece_ == pieces_.size()) return false;
  const IoPiece& piece = pieces_[piece_];
  idle->request.memory = piece.memory + piece_bytes_;
  idle->request.file_offset = piece.file_offset + piece_bytes_;
  idle->request.length_bytes = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(piece.length_bytes - piece_bytes_, request_bytes_max_));
  piece_bytes_ += idle->request.length_bytes;
  idle->retries = 0;
  idle->state = Slot::State::flying;
  ++in_flight_;
  request = idle->request;
  return true;
}

void Transfer::complete(std::uint32_t slot_index, std::int32_t answer) {
  STRICTSEND_ASSERT(slot_index < slots_.size());
  Slot& slot = slots_[slot_index];
  STRICTSEND_ASSERT(slot.state == Slot::State::flying);
  slot.state = Slot::State::idle;
  --in_flight_;
  if (answer < 0) {
    again_or_stop(slot, -answer);
    return;
  }
  const auto moved = static_cast<std::uint32_t>(answer);
  STRICTSEND_ASSERT(moved <= slot.request.length_bytes);
  outcome_.bytes += moved;
  if (moved == slot.request.length_bytes) return;
  if (direction_ == IoDirection::read && (moved == 0 || moved % alignment_bytes_ != 0)) {
    // Requests further on can only read nothing too: they are let be, they end the same way.
    outcome_.ended_early = true;
    return;
  }
  if (moved == 0) {
    stop(EIO);  // a write that takes nothing and says nothing would be asked again for ever
    return;
  }
  slot.request.memory += moved;
  slot.request.file_offset += moved;
  slot.request.length_bytes -= moved;
  slot.retries = 0;
  if (!stopped_) {
    slot.state = Slot::State::again;
    ++waiting_;
  }
}

void Transfer::again_or_stop(Slot& slot, int error) {
  // io_uring cancels by itself what it finds no worker thread for, and a signal that comes while
  // one is made is enough for that.
  const bool passing = error == EAGAIN || error == EINTR || error == ECANCELED;
  if (passing && !stopped_ && slot.retries < retries_max) {
    ++slot.retries;
    slot.state = Slot::State::again;
    ++waiting_;
    return;
  }
  stop(error);
}

void Transfer::stop(int error) {
  if (outcome_.error == 0) outcome_.error = error;
  stopped_ = true;
  for (Slot& slot : slots_)
    if (slot.state == Slot::State::again) slot.state = Slot::State::idle;
  waiting_ = 0;
}

}  // namespace strictsend::pagecache
