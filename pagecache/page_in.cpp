// SPDX-License-Identifier: Apache-2.0
#include "pagecache/page_in.hpp"

#include <algorithm>
#include <errno.h>
#include <mutex>
#include <string.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/mutation.hpp"
#include "pagecache/cache_core.hpp"
#include "pagecache/file_loader.hpp"
#include "pagecache/page_changer.hpp"

namespace strictsend::pagecache {
namespace {

using Pages = std::vector<std::uint64_t>;

/// Frames for pages that are being read; those that are not installed go back.
class NewFrames {
 public:
  explicit NewFrames(CacheCore& core) : core_(core) {}
  NewFrames(const NewFrames&) = delete;
  NewFrames& operator=(const NewFrames&) = delete;
  ~NewFrames() {
    for (const FrameIndex frame : frames_)
      if (frame != no_frame) core_.allocator().retire(frame);
  }

  /// Until there are `count`, if so many are free.
  void fill_up_to(std::uint64_t count) {
    if (count <= frames_.size()) return;
    std::vector<FrameRun> runs;
    core_.allocator().allocate_some(count - frames_.size(), runs);
    for (const FrameRun& run : runs)
      for (std::uint32_t i = 0; i < run.count; ++i)
        frames_.push_back(run.first.plus(i));
  }
  [[nodiscard]] std::size_t size() const { return frames_.size(); }
  [[nodiscard]] FrameIndex operator[](std::size_t i) const { return frames_[i]; }
  [[nodiscard]] FrameIndex give(std::size_t i) { return std::exchange(frames_[i], no_frame); }

 private:
  CacheCore& core_;
  std::vector<FrameIndex> frames_;
};

/// So many pages are worth taking others', which have to be read again then: reading single pages
/// would cost more.
constexpr std::uint64_t pages_at_a_time = 16;
constexpr int tries_for_a_frame = 64;

/// Frames for one page at least and `count` at best; none: there is no room.
void find_frames(CacheCore& core, FileSet& files, std::uint64_t count, NewFrames& frames) {
  do {
    frames.fill_up_to(count);
  } while (frames.size() < count && files.make_spare_room(count - frames.size()));
  const std::uint64_t some = std::min(count, pages_at_a_time);
  while (frames.size() < some &&
         core.evictor().evict(some - frames.size(), Eviction::unwanted, EvictFrom::all_files) != 0)
    frames.fill_up_to(some);
  while (frames.size() < some && core.evictor().evict(some - frames.size(), Eviction::not_next,
                                                      EvictFrom::paged_files) != 0)
    frames.fill_up_to(some);
  // What one frees another may take: who needs it so much more comes again.
  for (int tries = 0; frames.size() == 0 && tries < tries_for_a_frame && files.make_room(); ++tries)
    frames.fill_up_to(1);
}

Pages absent_pages(CachedFile& file, std::uint64_t begin, std::uint64_t end) {
  const std::scoped_lock lock(file.lock);
  end = std::min(end, file.page_count);
  Pages pages;
  for (std::uint64_t page = file.resident.next_clear(begin, end); page < end;
       page = file.resident.next_clear(page + 1, end))
    pages.push_back(page);
  return pages;
}

/// Where the pages are read to; neighbours that stand in neighbouring frames in one piece.
std::vector<IoPiece> pieces_of(const CacheCore& core, const Pages& pages, const NewFrames& frames) {
  std::vector<IoPiece> pieces;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    std::byte* const memory = core.arena().dma(frames[i]);
    const std::uint64_t offset = pages[i] << page_shift;
    if (!pieces.empty() && pieces.back().memory + pieces.back().length_bytes == memory &&
        pieces.back().file_offset + pieces.back().length_bytes == offset) {
      pieces.back().length_bytes += page_bytes;
    } else {
      pieces.push_back({memory, offset, page_bytes});
    }
  }
  return pieces;
}

std::uint64_t bytes_on_disk(std::span<const IoPiece> pieces, std::uint64_t size_bytes) {
  std::uint64_t bytes = 0;
  for (const IoPiece& piece : pieces)
    bytes +=
        std::min(piece.file_offset + piece.length_bytes, std::max(size_bytes, piece.file_offset)) -
        piece.file_offset;
  return bytes;
}

IoOutcome read_pieces(BackingFile& backing, std::span<const IoPiece> pieces) {
  if (backing.direct_fd() >= 0) {
    if (auto ring = IoRing::create()) {
      const IoOutcome outcome = ring->run(IoDirection::read, backing.direct_fd(), pieces,
                                          backing.direct_alignment_bytes(), no_stall_limit);
      if (outcome.error != EINVAL && outcome.error != EOPNOTSUPP) return outcome;
      backing.close_direct(
          fmt::format("the file system refused a direct read: {}", ::strerror(outcome.error)));
    } else {
      backing.close_direct(ring.error().message());
    }
  }
  return transfer_buffered(IoDirection::read, backing.fd(), pieces);
}

tl::unexpected<Error> changed_by_others(CachedFile& file) {
  auto changed = fail("read " + disk_origin(file).disk->backing.name(), ESTALE,
                      "another process changed or renamed the file before all that is being sent "
                      "or written of it was in memory; change files that are being sent through "
                      "this engine, or replace them by rename");
  if (file.load_error.exchange(ESTALE) == 0)
    spdlog::warn("sends are given up: {}", changed.value().message());
  return changed;
}

/// Under disk->mutex: whether the disk still has the version that the file stands for.
Result<void> still_the_same(CachedFile& file) {
  DiskOrigin& origin = disk_origin(file);
  auto identity = origin.disk->backing.identify();
  if (!identity) return tl::unexpected(identity.error());
  const FileChange change = change_between(origin.identity(), *identity);
  // Of pages that have been in memory before their sums are known.
  const bool suspect =
      change == FileChange::content || (change == FileChange::unexplained && file.paged);
  if (suspect && !mutation_active(Mutation::load_whatever_is_there)) return changed_by_others(file);
  if (change == FileChange::inode) origin.set_identity(*identity);
  return {};
}

/// False: a page's bytes are not those that had left the memory.
[[nodiscard]] bool install(CachedFile& file, const Pages& pages, NewFrames& frames) {
  const std::scoped_lock lock(file.lock);
  PageChanger changer(*file.core, file);
  std::uint64_t installed = 0;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    // It may have been truncated away since, and have come again as zeros.
    if (pages[i] >= file.page_count || changer.is_in_memory(pages[i])) continue;
    if (!changer.is_what_was_evicted(pages[i], frames[i]) &&
        !mutation_active(Mutation::load_whatever_is_there))
      return false;
    changer.install(pages[i], frames.give(i));
    ++installed;
  }
  file.core->counters().pages_loaded.fetch_add(installed, std::memory_order_relaxed);
  return true;
}

}  // namespace

Result<PageIn> page_in(FileSet& files, CachedFile& file, std::uint64_t begin, std::uint64_t end,
                       DiskWait wait) {
  CacheCore& core = *file.core;
  DiskOrigin& origin = disk_origin(file);
  // Room first: it may have to be made by writing files back, this one too.
  NewFrames frames(core);
  const std::uint64_t count = absent_pages(file, begin, end).size();
  if (count == 0) return PageIn::done;
  find_frames(core, files, count, frames);
  if (frames.size() == 0)
    return fail("read " + origin.disk->backing.name(), ENOBUFS,
                files.fullness() + ", and all of it is in use; choose a larger one with --cache");
  std::unique_lock disk_lock(origin.disk->mutex, std::defer_lock);
  if (wait == DiskWait::wait)
    disk_lock.lock();
  else if (!disk_lock.try_lock())
    return PageIn::disk_busy;

  // Once more: nobody else brings pages in while the disk's mutex is held.
  Pages pages = absent_pages(file, begin, end);
  if (pages.size() > frames.size()) pages.resize(frames.size());
  if (pages.empty()) return PageIn::done;
  if (auto same = still_the_same(file); !same) return tl::unexpected(same.error());
  const std::uint64_t disk_size = origin.identity().size_bytes;
  const std::vector<IoPiece> pieces = pieces_of(core, pages, frames);
  const IoOutcome outcome = read_pieces(origin.disk->backing, pieces);
  if (outcome.error != 0) {
    return fail("read " + origin.disk->backing.name(), outcome.error,
                outcome.error == EIO ? "the disk could not read it; see dmesg" : "");
  }
  if (auto same = still_the_same(file); !same) return tl::unexpected(same.error());
  if (outcome.bytes < bytes_on_disk(pieces, disk_size))
    return fail("read " + origin.disk->backing.name(), EIO, "the disk gave less than the file has");
  zero_after_end(pieces, disk_size);
  if (!install(file, pages, frames)) return changed_by_others(file);
  return PageIn::done;
}

}  // namespace strictsend::pagecache
