// SPDX-License-Identifier: Apache-2.0
#include "pagecache/frame_target.hpp"

#include <errno.h>

#include <fmt/format.h>

#include "base/clock.hpp"

namespace strictsend::pagecache {
namespace {

/// What is freed for a file others may take while the rest is being freed: for no longer than this.
constexpr Duration load_limit = seconds(10);

}  // namespace

Result<std::span<const IoPiece>> FrameTarget::provide(std::uint64_t size_bytes) {
  pieces_.clear();
  file_.reset();  // gives back what an earlier try had
  auto file = create_file(size_bytes);
  if (!file) return tl::unexpected(file.error());
  file_ = *std::move(file);
  std::uint64_t offset = 0;
  for (const FrameRun& run : file_->extents()) {
    const std::uint64_t bytes = std::uint64_t{run.count} << page_shift;
    pieces_.push_back({core_.arena().dma(run.first), offset, bytes});
    offset += bytes;
  }
  return std::span<const IoPiece>(pieces_);
}

Result<std::shared_ptr<CachedFile>> FrameTarget::create_file(std::uint64_t size_bytes) {
  const Time deadline = monotonic_now() + load_limit;
  for (;;) {
    auto file = core_.create_file(size_bytes, Residency::loaded);
    if (file) return file;
    if (file.error().errno_value == EFBIG)
      return fail(fmt::format("load a file of {} bytes", size_bytes), EFBIG,
                  files_.fullness() + "; choose a larger one with --cache");
    if (file.error().errno_value != ENOSPC) return file;
    const std::uint64_t pages = pages_for(size_bytes);
    const std::uint64_t free = core_.allocator().free_file_frames();
    if (!files_.make_room(pages > free ? pages - free : 1) || monotonic_now() >= deadline)
      return fail(fmt::format("load a file of {} bytes", size_bytes), ENOBUFS,
                  files_.fullness() +
                      ", and the others in it are open, being sent or cannot be written back; "
                      "choose a larger one with --cache");
  }
}

}  // namespace strictsend::pagecache
