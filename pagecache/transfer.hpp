// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/page.hpp"

namespace strictsend::pagecache {

/// A run of memory that stands for a run of a file.
struct IoPiece {
  std::byte* memory = nullptr;
  std::uint64_t file_offset = 0;
  std::uint64_t length_bytes = 0;
};

enum class IoDirection : std::uint8_t { read, write };

/// What a transfer has come to, once nothing of it is in flight.
struct IoOutcome {
  std::uint64_t bytes = 0;  ///< moved, over all pieces
  int error = 0;  ///< the first errno; 0 when the pieces are done or a read met the file's end
  bool ended_early = false;  ///< a read met the end of the file before the pieces were full
};

/// The decisions of a many-requests-in-flight transfer, without any I/O: which request comes next,
/// and what an answer means. Short answers are continued, interrupted ones asked again, the first
/// error stops the rest.
///
/// Owned by the thread that runs the transfer (IoRing); pure, so that every answer a kernel can
/// give is tested without a kernel. The pieces must outlive it.
class Transfer {
 public:
  struct Request {
    std::uint32_t slot = 0;  ///< names the request in `complete`
    std::byte* memory = nullptr;
    std::uint64_t file_offset = 0;
    std::uint32_t length_bytes = 0;
  };

  /// `alignment_bytes` is 1, or the block that direct I/O has to keep to: then a short read that
  /// ends off a block can only be the file's end, for no request could go on from there.
  Transfer(IoDirection direction, std::span<const IoPiece> pieces, std::uint32_t depth,
           std::uint32_t request_bytes_max, std::uint32_t alignment_bytes);

  /// Fills `request` and counts it as in flight. False: nothing to issue now (all slots are busy,
  /// or no more work).
  [[nodiscard]] bool next(Request& request);
  /// The answer to a request: bytes moved, or a negative errno, as in a completion queue entry.
  void complete(std::uint32_t slot, std::int32_t answer);
  /// No further requests; what is in flight still has to complete.
  void stop(int error);

  [[nodiscard]] std::uint32_t in_flight() const { return in_flight_; }
  [[nodiscard]] bool done() const { return in_flight_ == 0 && !has_work(); }
  [[nodiscard]] IoOutcome outcome() const { return outcome_; }
  [[nodiscard]] IoDirection direction() const { return direction_; }

  /// How often one request is asked again after EAGAIN or EINTR before that is an error.
  static constexpr std::uint32_t retries_max = 64;

 private:
  struct Slot {
    Request request;
    std::uint32_t retries = 0;
    enum class State : std::uint8_t { idle, again, flying } state = State::idle;
  };

  [[nodiscard]] bool has_work() const;
  void again_or_stop(Slot& slot, int error);

  IoDirection direction_;
  std::span<const IoPiece> pieces_;
  std::uint32_t request_bytes_max_;
  std::uint32_t alignment_bytes_;
  std::vector<Slot> slots_;
  std::size_t piece_ = 0;          // the piece that the next fresh request is cut from …
  std::uint64_t piece_bytes_ = 0;  // … and how much of it is cut already
  std::uint32_t in_flight_ = 0;
  std::uint32_t waiting_ = 0;  // slots in state `again`
  bool stopped_ = false;
  IoOutcome outcome_;
};

}  // namespace strictsend::pagecache
