// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "pagecache/transfer.hpp"

namespace strictsend::pagecache {

/// For transfers that wait for the disk however long it takes.
inline constexpr Duration no_stall_limit = seconds(std::int64_t{1} << 30);

/// An io_uring that moves file contents in and out of frames, many requests at a time.
///
/// Owned by one load or sync at a time and used by its thread alone: an application thread, which
/// may wait for the disk; never the engine thread or the guard. Every call blocks until the
/// transfer is over or nothing has moved for as long as its stall limit.
///
/// After a stall requests may still be in flight: a direct read that waits for an inode lock
/// cannot be cancelled. The kernel will write to their memory whenever they get on, so the memory
/// must outlive them: `in_flight` says how many there are, `drain` waits for them, the destructor
/// waits without limit. Until then the ring takes no other transfer.
class IoRing {
 public:
  static constexpr std::uint32_t depth = 32;
  static constexpr std::uint32_t request_bytes_max = 256 * 1024;

  /// ENOSYS or EPERM where io_uring is switched off (kernel.io_uring_disabled, seccomp).
  static Result<IoRing> create();
  IoRing(IoRing&&) noexcept;
  IoRing& operator=(IoRing&&) noexcept;
  IoRing(const IoRing&) = delete;
  IoRing& operator=(const IoRing&) = delete;
  ~IoRing();

  /// Moves all pieces. `alignment_bytes`: see Transfer. ETIMEDOUT when no request has completed for
  /// `stall_limit`.
  IoOutcome run(IoDirection direction, int fd, std::span<const IoPiece> pieces,
                std::uint32_t alignment_bytes, Duration stall_limit);

  /// Requests that outlived a stall limit and still refer to their memory.
  [[nodiscard]] std::uint32_t in_flight() const;
  /// Waits for those; true when none is left.
  bool drain(Duration limit);

 private:
  class Ring;
  explicit IoRing(std::unique_ptr<Ring> ring);
  std::unique_ptr<Ring> ring_;
};

/// The same transfer where io_uring is switched off: one request at a time, the same answers.
IoOutcome transfer_plainly(IoDirection direction, int fd, std::span<const IoPiece> pieces);

/// Through a ring if there is one, else plainly, however long the disk takes.
IoOutcome transfer_buffered(IoDirection direction, int fd, std::span<const IoPiece> pieces);

}  // namespace strictsend::pagecache
