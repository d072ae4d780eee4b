// SPDX-License-Identifier: Apache-2.0
#include "pagecache/file_sync.hpp"

#include <algorithm>
#include <errno.h>
#include <mutex>
#include <span>
#include <thread>
#include <unistd.h>
#include <vector>

#include "base/assert.hpp"
#include "pagecache/cache_core.hpp"
#include "pagecache/file_set.hpp"
#include "pagecache/page_cache.hpp"

namespace strictsend::pagecache {
namespace {

/// Pinned at a time: a writer who meets one of them needs a spare frame.
constexpr std::size_t batch_pages_max = 1024;

/// A snapshot for the time of a sync.
class HeldSnapshot {
 public:
  HeldSnapshot(CacheCore& core, SnapshotState* snapshot) : core_(core), snapshot_(snapshot) {}
  HeldSnapshot(const HeldSnapshot&) = delete;
  HeldSnapshot& operator=(const HeldSnapshot&) = delete;
  ~HeldSnapshot() { core_.release(snapshot_); }
  [[nodiscard]] const SnapshotState& operator*() const { return *snapshot_; }

 private:
  CacheCore& core_;
  SnapshotState* snapshot_;
};

/// Pinned frames as pieces to write, runs of frames joined.
class PinnedBatch {
 public:
  explicit PinnedBatch(CacheCore& core) : core_(core) {}
  PinnedBatch(const PinnedBatch&) = delete;
  PinnedBatch& operator=(const PinnedBatch&) = delete;
  ~PinnedBatch() {
    for (const FrameIndex frame : frames_)
      core_.unpin(frame);
  }

  /// False: the snapshot was given up for a writer.
  [[nodiscard]] bool add(const SnapshotState& snapshot, PageIndex page, std::uint64_t bytes) {
    FrameIndex frame;
    PinOutcome outcome = core_.resolve_and_pin(snapshot, page, frame);
    for (; outcome == PinOutcome::busy; outcome = core_.resolve_and_pin(snapshot, page, frame))
      std::this_thread::yield();
    if (outcome == PinOutcome::revoked) return false;
    STRICTSEND_ASSERT(outcome == PinOutcome::pinned);  // what is being written back stays in memory
    frames_.push_back(frame);
    std::byte* const memory = core_.arena().dma(frame);
    const std::uint64_t offset = std::uint64_t{page.value} << page_shift;
    if (!pieces_.empty()) {
      IoPiece& last = pieces_.back();
      if (last.memory + last.length_bytes == memory &&
          last.file_offset + last.length_bytes == offset) {
        last.length_bytes += bytes;
        return true;
      }
    }
    pieces_.push_back({memory, offset, bytes});
    return true;
  }
  [[nodiscard]] std::span<const IoPiece> pieces() const { return pieces_; }

 private:
  CacheCore& core_;
  std::vector<FrameIndex> frames_;
  std::vector<IoPiece> pieces_;
};

Result<void> write_pages(CacheCore& core, const SnapshotState& snapshot,
                         std::span<const PageIndex> pages, const BackingFile& backing) {
  for (std::size_t done = 0; done < pages.size(); done += batch_pages_max) {
    PinnedBatch batch(core);
    for (const PageIndex page :
         pages.subspan(done, std::min(batch_pages_max, pages.size() - done))) {
      const std::uint64_t offset = std::uint64_t{page.value} << page_shift;
      if (!batch.add(snapshot, page, std::min(page_bytes, snapshot.end_offset - offset)))
        return fail("sync " + backing.name(), EAGAIN,
                    "its snapshot was given up for a writer who waited for a spare frame; sync "
                    "again, or choose more spare frames");
    }
    const IoOutcome outcome = transfer_buffered(IoDirection::write, backing.fd(), batch.pieces());
    if (outcome.error != 0)
      return fail("sync " + backing.name(), outcome.error,
                  outcome.error == ENOSPC || outcome.error == EDQUOT
                      ? "the file system is full; the changes are kept in the cache"
                      : "the changes are kept in the cache");
  }
  return {};
}

Result<void> write_back(CacheCore& core, const SnapshotState& snapshot,
                        std::span<const PageIndex> pages, const BackingFile& backing,
                        std::uint64_t disk_size_bytes) {
  if (disk_size_bytes != snapshot.end_offset &&
      ::ftruncate(backing.fd(), static_cast<off_t>(snapshot.end_offset)) != 0)
    return fail("resize " + backing.name(), errno, "the changes are kept in the cache");
  if (auto written = write_pages(core, snapshot, pages, backing); !written) return written;
  if (::fdatasync(backing.fd()) != 0)
    return fail("fdatasync of " + backing.name(), errno, "the changes are kept in the cache");
  return {};
}

bool is_irrecoverable(CachedFile& file) {
  const std::scoped_lock lock(file.lock);
  return file.is_irrecoverable();
}

void mark_all_changed(CachedFile& file) {
  const std::scoped_lock lock(file.lock);
  for (std::uint64_t page = 0; page < file.page_count; ++page)
    if (!file.evictable || file.resident.test(page)) file.dirty.set(page);
}

void mark_changed(CachedFile& file, std::span<const PageIndex> pages) {
  const std::scoped_lock lock(file.lock);
  for (const PageIndex page : pages)
    if (page.value < file.page_count) file.dirty.set(page.value);
}

/// Tells others, while it lives, that the disk's mutex is held by a write-back.
class Syncing {
 public:
  explicit Syncing(Disk& disk) : disk_(disk) {
    disk_.syncing.store(true, std::memory_order_release);
  }
  Syncing(const Syncing&) = delete;
  Syncing& operator=(const Syncing&) = delete;
  ~Syncing() { disk_.syncing.store(false, std::memory_order_release); }

 private:
  Disk& disk_;
};

}  // namespace

Result<void> sync_to_disk(CachedFile& file) {
  CacheCore& core = *file.core;
  DiskOrigin& origin = disk_origin(file);
  Disk& disk = *origin.disk;
  const std::scoped_lock disk_lock(disk.mutex);
  const Syncing syncing(disk);
  const BackingFile& backing = disk.backing;
  if (!backing.writable())
    return fail("sync " + backing.name(), EBADF, "it was opened O_RDONLY; open it O_RDWR to sync");
  if (core.is_shut_down()) {
    return fail("sync " + backing.name(), ESHUTDOWN,
                "its engine is gone, and what was written since cannot be told from the rest; sync "
                "before the engine goes");
  }
  auto before = backing.identify();
  if (!before) return tl::unexpected(before.error());
  if (!has_unsaved_changes(file)) return {};
  const FileChange change = change_between(origin.identity(), *before);
  // A version that the disk has not any more, whatever its times say, must not go over the new one.
  if (change == FileChange::content || is_irrecoverable(file))
    return conflict_error("sync", backing.name());

  if (!core.config().protect && file.mapping != nullptr) mark_all_changed(file);
  // Until the disk has them, or they count as changed again: clean pages may be on their way to it.
  const KeptResident kept(file);
  std::vector<PageIndex> pages;
  auto snapshot = core.freeze_for_sync(file.shared_from_this(), pages);
  if (!snapshot) {
    mark_changed(file, pages);
    return tl::unexpected(snapshot.error());
  }
  const HeldSnapshot held(core, *snapshot);
  auto result = write_back(core, *held, pages, backing, before->size_bytes);
  if (!result) mark_changed(file, pages);

  // Whatever came of it, what the disk shows now is our own doing.
  auto after = backing.identify();
  // But for what nobody can explain: pages that are not in memory must not be read any more.
  if (after && change == FileChange::unexplained && file.paged)
    after->ctime_ns = origin.identity().ctime_ns;
  if (after && (!result || after->size_bytes == (*held).end_offset)) origin.set_identity(*after);
  if (!result) return result;
  if (!after) return tl::unexpected(after.error());
  if (after->size_bytes != (*held).end_offset) return conflict_error("sync", backing.name());
  return {};
}

Result<void> file_sync(CachedFile& file) {
  return sync_to_disk(file);
}

}  // namespace strictsend::pagecache
