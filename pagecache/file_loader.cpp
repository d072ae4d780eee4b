// SPDX-License-Identifier: Apache-2.0
#include "pagecache/file_loader.hpp"

#include <algorithm>
#include <errno.h>
#include <string.h>

#include <fmt/format.h>

namespace strictsend::pagecache {
namespace {

enum class DirectOutcome : std::uint8_t { done, read_buffered_instead, memory_is_lost };

DirectOutcome read_direct(BackingFile& file, std::span<const IoPiece> pieces, LoadTarget& target,
                          const LoadOptions& options, IoOutcome& outcome) {
  auto ring = IoRing::create();
  if (!ring) {
    file.close_direct(ring.error().message());
    return DirectOutcome::read_buffered_instead;
  }
  outcome = ring->run(IoDirection::read, file.direct_fd(), pieces, file.direct_alignment_bytes(),
                      options.direct_stall_limit);
  if (outcome.error == EINVAL || outcome.error == EOPNOTSUPP) {
    file.close_direct(
        fmt::format("the file system refused a direct read: {}", ::strerror(outcome.error)));
    return DirectOutcome::read_buffered_instead;
  }
  if (outcome.error == ETIMEDOUT) {
    // A writer whose buffer is a cold mapping holds the inode lock while it faults, and direct
    // reads wait for that lock. Buffered ones take no inode lock on ext4.
    file.close_direct("a direct read waited too long behind a writer of the file");
    if (ring->in_flight() == 0) return DirectOutcome::read_buffered_instead;
    target.abandon(std::move(*ring));
    return DirectOutcome::memory_is_lost;
  }
  return DirectOutcome::done;
}

}  // namespace

void zero_after_end(std::span<const IoPiece> pieces, std::uint64_t size_bytes) {
  for (const IoPiece& piece : pieces) {
    const std::uint64_t end = piece.file_offset + piece.length_bytes;
    if (end <= size_bytes) continue;
    const std::uint64_t from = std::max(size_bytes, piece.file_offset) - piece.file_offset;
    std::fill(piece.memory + from, piece.memory + piece.length_bytes, std::byte{0});
  }
}

Result<LoadResult> load_file(BackingFile& file, LoadTarget& target, const LoadOptions& options) {
  const std::string operation = "load " + file.name();
  if (options.direct) file.open_direct();
  for (std::uint32_t tries = 0; tries < options.tries_max; ++tries) {
    auto before = file.identify();
    if (!before) return tl::unexpected(before.error());
    if (wait_until_settled(*before)) {
      before = file.identify();
      if (!before) return tl::unexpected(before.error());
    }
    auto pieces = target.provide(before->size_bytes);
    if (!pieces) return tl::unexpected(pieces.error());

    IoOutcome outcome;
    DirectOutcome direct = DirectOutcome::read_buffered_instead;
    if (file.direct_fd() >= 0) direct = read_direct(file, *pieces, target, options, outcome);
    if (direct == DirectOutcome::memory_is_lost) {
      pieces = target.provide(before->size_bytes);
      if (!pieces) return tl::unexpected(pieces.error());
    }
    if (direct != DirectOutcome::done) {
      outcome = transfer_buffered(IoDirection::read, file.fd(), *pieces);
    }
    if (outcome.error != 0)
      return fail(operation, outcome.error,
                  outcome.error == EIO ? "the disk could not read it; see dmesg" : "");

    auto after = file.identify();
    if (!after) return tl::unexpected(after.error());
    if (*after != *before || outcome.bytes < before->size_bytes) continue;
    zero_after_end(*pieces, before->size_bytes);
    return LoadResult{*after, file.mode_text()};
  }
  return fail(operation, EAGAIN,
              fmt::format("another process kept changing it through {} tries; let it finish, or "
                          "write through this engine's File",
                          options.tries_max));
}

}  // namespace strictsend::pagecache
