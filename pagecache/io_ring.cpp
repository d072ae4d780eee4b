// SPDX-License-Identifier: Apache-2.0
#include "pagecache/io_ring.hpp"

#include <algorithm>
#include <cerrno>
#include <liburing.h>
#include <unistd.h>
#include <vector>

#include "base/assert.hpp"

namespace strictsend::pagecache {
namespace {

constexpr std::uint64_t cancel_tag = ~std::uint64_t{0};  // user data of cancel requests
constexpr Duration cancel_grace = milliseconds(100);     // what a cancellable request needs at most
constexpr Duration wait_step = seconds(1);

__kernel_timespec timespec_of(Duration duration) {
  __kernel_timespec spec{};
  spec.tv_sec = duration.ns / 1'000'000'000;
  spec.tv_nsec = duration.ns % 1'000'000'000;
  return spec;
}

}  // namespace

class IoRing::Ring {
 public:
  Ring() = default;
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring() {
    if (!open_) return;
    while (!drain(wait_step)) {  // the kernel still writes to memory that is about to be reused
    }
    io_uring_queue_exit(&ring_);
  }

  int open() {
    // Twice the depth: room for one cancel request for each request.
    const int rc = io_uring_queue_init(depth * 2, &ring_, 0);
    open_ = rc == 0;
    return -rc;
  }

  IoOutcome run(IoDirection direction, int fd, std::span<const IoPiece> pieces,
                std::uint32_t alignment_bytes, Duration stall_limit) {
    STRICTSEND_ASSERT(in_flight() == 0);
    // Kept in a member: what outlives a stall completes into it.
    transfer_ =
        std::make_unique<Transfer>(direction, pieces, depth, request_bytes_max, alignment_bytes);
    Time deadline = monotonic_now() + stall_limit;
    while (!transfer_->done()) {
      issue(fd);
      const Time now = monotonic_now();
      if (now >= deadline) {
        transfer_->stop(ETIMEDOUT);
        cancel();
        break;
      }
      const std::uint64_t before = completions_;
      const int error = wait(deadline - now);
      if (completions_ != before) deadline = monotonic_now() + stall_limit;
      if (error != 0 && error != ETIME && error != EINTR && error != EAGAIN && error != EBUSY) {
        transfer_->stop(error);
        cancel();
        break;
      }
    }
    return transfer_->outcome();
  }

  [[nodiscard]] std::uint32_t in_flight() const {
    return transfer_ == nullptr ? 0 : transfer_->in_flight();
  }

  bool drain(Duration limit) {
    const Time deadline = monotonic_now() + limit;
    // Looks once even without any time left: that is how to poll.
    for (Duration left = limit; in_flight() > 0; left = deadline - monotonic_now()) {
      wait(std::max(left, Duration{0}));
      if (in_flight() > 0 && monotonic_now() >= deadline) return false;
    }
    return true;
  }

 private:
  void issue(int fd) {
    Transfer::Request request;
    while (io_uring_sq_space_left(&ring_) > 0 && transfer_->next(request)) {
      io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
      STRICTSEND_ASSERT(sqe != nullptr);
      if (transfer_->direction() == IoDirection::read)
        io_uring_prep_read(sqe, fd, request.memory, request.length_bytes, request.file_offset);
      else
        io_uring_prep_write(sqe, fd, request.memory, request.length_bytes, request.file_offset);
      io_uring_sqe_set_data64(sqe, request.slot);
      flying_[request.slot] = true;
    }
  }

  /// Submits what is prepared, waits for one completion and takes all that are there.
  int wait(Duration limit) {
    __kernel_timespec spec = timespec_of(limit);
    io_uring_cqe* cqe = nullptr;
    const int rc = io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, &spec, nullptr);
    unsigned head = 0;
    unsigned seen = 0;
    io_uring_for_each_cqe(&ring_, head, cqe) {
      ++seen;
      const std::uint64_t tag = io_uring_cqe_get_data64(cqe);
      if (tag == cancel_tag) continue;
      flying_[tag] = false;
      ++completions_;
      transfer_->complete(static_cast<std::uint32_t>(tag), cqe->res);
    }
    io_uring_cq_advance(&ring_, seen);
    return rc < 0 ? -rc : 0;
  }

  void cancel() {
    for (std::uint32_t slot = 0; slot < depth; ++slot) {
      if (!flying_[slot]) continue;
      io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
      if (sqe == nullptr) break;  // then the rest is drained, only later
      io_uring_prep_cancel64(sqe, slot, 0);
      io_uring_sqe_set_data64(sqe, cancel_tag);
    }
    drain(cancel_grace);
  }

  io_uring ring_{};
  bool open_ = false;
  bool flying_[depth] = {};
  std::uint64_t completions_ = 0;
  std::unique_ptr<Transfer> transfer_;
};

IoRing::IoRing(std::unique_ptr<Ring> ring) : ring_(std::move(ring)) {}
IoRing::IoRing(IoRing&&) noexcept = default;
IoRing& IoRing::operator=(IoRing&&) noexcept = default;
IoRing::~IoRing() = default;

Result<IoRing> IoRing::create() {
  auto ring = std::make_unique<Ring>();
  if (const int error = ring->open(); error != 0)
    return fail("io_uring set-up", error,
                error == EPERM || error == ENOSYS
                    ? "io_uring is switched off here: sysctl kernel.io_uring_disabled=0, or allow "
                      "io_uring_setup in the container's seccomp profile"
                    : "");
  return IoRing(std::move(ring));
}

IoOutcome IoRing::run(IoDirection direction, int fd, std::span<const IoPiece> pieces,
                      std::uint32_t alignment_bytes, Duration stall_limit) {
  return ring_->run(direction, fd, pieces, alignment_bytes, stall_limit);
}
std::uint32_t IoRing::in_flight() const {
  return ring_ == nullptr ? 0 : ring_->in_flight();
}
bool IoRing::drain(Duration limit) {
  return ring_ == nullptr || ring_->drain(limit);
}

IoOutcome transfer_plainly(IoDirection direction, int fd, std::span<const IoPiece> pieces) {
  Transfer transfer(direction, pieces, 1, IoRing::request_bytes_max, 1);
  Transfer::Request request;
  while (transfer.next(request)) {
    const auto offset = static_cast<off_t>(request.file_offset);
    const ssize_t answer = direction == IoDirection::read
                               ? ::pread(fd, request.memory, request.length_bytes, offset)
                               : ::pwrite(fd, request.memory, request.length_bytes, offset);
    transfer.complete(request.slot, static_cast<std::int32_t>(answer < 0 ? -errno : answer));
  }
  return transfer.outcome();
}

IoOutcome transfer_buffered(IoDirection direction, int fd, std::span<const IoPiece> pieces) {
  auto ring = IoRing::create();
  if (!ring) return transfer_plainly(direction, fd, pieces);
  return ring->run(direction, fd, pieces, 1, no_stall_limit);
}

}  // namespace strictsend::pagecache
