// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "base/clock.hpp"
#include "base/page.hpp"
#include "base/result.hpp"
#include "pagecache/arena.hpp"
#include "pagecache/audit.hpp"
#include "pagecache/cached_file.hpp"
#include "pagecache/checksum_memo.hpp"
#include "pagecache/evictor.hpp"
#include "pagecache/frame_allocator.hpp"
#include "pagecache/frame_table.hpp"
#include "pagecache/mapping.hpp"
#include "pagecache/page_cache.hpp"
#include "pagecache/page_wants.hpp"
#include "pagecache/preserved_limits.hpp"
#include "pagecache/snapshot.hpp"
#include "pagecache/userfaultfd.hpp"

namespace strictsend::pagecache {

class Guard;

/// What only tests change.
struct CacheTuning {
  FrameAllocator::Order free_order = FrameAllocator::Order::fifo;
  std::uint64_t lone_pages_max = 0;  ///< 0: from vm.max_map_count
  Duration guard_tick = milliseconds(1);
  /// What senders' progress is measured by; none: the monotonic clock. Any thread.
  std::function<Time()> progress_clock;
};

/// Counters behind CacheStats. Any thread adds, relaxed.
struct CoreCounters {
  std::atomic<std::uint64_t> pages_preserved{0};
  std::atomic<std::uint64_t> pages_redirected{0};
  std::atomic<std::uint64_t> pages_came_home{0};
  std::atomic<std::uint64_t> write_faults{0};
  std::atomic<std::uint64_t> writer_waits{0};
  std::atomic<std::uint64_t> writer_stall_ns_max{0};
  std::atomic<std::uint64_t> victims{0};  ///< for writers that had waited
  std::atomic<std::uint64_t> sends_failed_for_connection_limit{0};
  std::atomic<std::uint64_t> sends_failed_for_total_limit{0};
  std::atomic<std::uint64_t> audit_failures{0};
  std::atomic<std::uint64_t> pages_loaded{0};  ///< one by one, not with their file
  std::atomic<std::uint64_t> pages_evicted{0};
  std::atomic<std::uint64_t> sends_failed_for_disk{0};
  std::atomic<std::uint64_t> frames_cached{0};  ///< gauges
  std::atomic<std::uint64_t> frames_history{0};
  std::atomic<std::uint64_t> pages_away{0};
  std::atomic<std::uint64_t> pages_scattered{0};
};

/// API writers that wait for a spare frame, and since when, so that the guard can choose a victim
/// for them as for faulting ones.
class SpareWaiters {
 public:
  /// One writer's wait; counted from construction to destruction.
  class Waiting {
   public:
    explicit Waiting(SpareWaiters& waiters);
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    ~Waiting();
    /// Sleeps until the guard has been through a tick in which frames may have come back, or until
    /// the deadline; false: the deadline has passed.
    [[nodiscard]] bool sleep_until(Time deadline);

   private:
    SpareWaiters& waiters_;
    Time since_;
  };

  void frames_may_be_free();
  /// When the longest wait of those present began.
  [[nodiscard]] std::optional<Time> waiting_since() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable came_back_;
  std::uint64_t generation_ = 0;
  std::multiset<Time> since_;
};

/// Everything of the page cache but the disk: arena, frames, snapshots, guard. PageCache and the
/// loader work on it; files keep it alive, so it may outlive the PageCache (without its guard).
///
/// Lock order: a file's lock, then any one of the short mutexes (allocator, pool, mapping index,
/// waiters), never two files' locks.
class CacheCore : public std::enable_shared_from_this<CacheCore> {
 public:
  static Result<std::shared_ptr<CacheCore>> create(const CacheConfig& config,
                                                   const CacheTuning& tuning = {});
  CacheCore(const CacheCore&) = delete;
  CacheCore& operator=(const CacheCore&) = delete;
  ~CacheCore();
  /// Stops the guard and with it all protection. Nothing may be frozen any more.
  void shutdown();
  [[nodiscard]] bool is_shut_down() const { return shut_down_.load(std::memory_order_acquire); }

  /// A file of `size_bytes` whose pages have frames and are protected. Its bytes are arbitrary: the
  /// loader fills `extents()` through the DMA view, the rest of the last page with zeros, and sets
  /// `attributes` and `origin`, before it publishes the file. EFBIG: can never fit; ENOSPC: does
  /// not fit now (drop an idle file and try again).
  Result<std::shared_ptr<CachedFile>> create_file(std::uint64_t size_bytes,
                                                  Residency residency = Residency::fixed);
  /// A paged file, none of which is in memory; of any size.
  Result<std::shared_ptr<CachedFile>> create_paged_file(std::uint64_t size_bytes);

  /// The freeze proper, without the look at the backing file.
  Result<SnapshotState*> freeze(const std::shared_ptr<CachedFile>& file, std::uint64_t offset,
                                std::uint64_t length_bytes);
  /// A freeze of the whole file that also takes over the set of dirty pages, at the same instant,
  /// for writing them back from the snapshot.
  Result<SnapshotState*> freeze_for_sync(const std::shared_ptr<CachedFile>& file,
                                         std::vector<PageIndex>& dirty);
  /// Another snapshot of the same instant, cut to `of`'s range; see Snapshot::part.
  Result<SnapshotState*> part(const SnapshotState& of, std::uint64_t offset,
                              std::uint64_t length_bytes);
  void release(SnapshotState* snapshot) { snapshots_.push_released(snapshot); }
  /// All pages are in memory, and stay there meanwhile.
  Result<std::span<std::byte>> map(const std::shared_ptr<CachedFile>& file);

  /// Looks a page up for sending or writing back; see PageCache::resolve_and_pin.
  [[nodiscard]] PinOutcome resolve_and_pin(const SnapshotState& snapshot, PageIndex page,
                                           FrameIndex& frame) const;
  /// The same for a sender, who wants what is not in memory, and what comes next.
  [[nodiscard]] PinOutcome resolve_for_sending(SnapshotState& snapshot, PageIndex page,
                                               FrameIndex& frame);
  /// How far is read ahead of a sender at most.
  [[nodiscard]] std::uint32_t read_ahead_pages_max() const;
  void pin_blindly(FrameIndex frame) const {
    frames_[frame].pins.fetch_add(1, std::memory_order_seq_cst);
  }
  void unpin(FrameIndex frame) const {
    frames_[frame].pins.fetch_sub(1, std::memory_order_release);
  }

  [[nodiscard]] CacheStats stats() const;
  [[nodiscard]] bool settle(Duration limit);
  [[nodiscard]] std::uint64_t metadata_bytes() const;

  // The parts.
  [[nodiscard]] const CacheConfig& config() const { return config_; }
  [[nodiscard]] const CacheTuning& tuning() const { return tuning_; }
  [[nodiscard]] const Arena& arena() const { return arena_; }
  [[nodiscard]] const FrameTable& frames() const { return frames_; }
  [[nodiscard]] FrameAllocator& allocator() { return allocator_; }
  [[nodiscard]] ChecksumMemo& memo() { return memo_; }
  [[nodiscard]] SnapshotPool& snapshots() { return snapshots_; }
  [[nodiscard]] MappingIndex& mappings() { return mappings_; }
  [[nodiscard]] const MappingIndex& mappings() const { return mappings_; }
  [[nodiscard]] CoreCounters& counters() { return counters_; }
  [[nodiscard]] SpareWaiters& spare_waiters() { return spare_waiters_; }
  [[nodiscard]] PageWants& wants() { return wants_; }
  [[nodiscard]] Evictor& evictor() { return evictor_; }
  /// Writer: the guard; read by engine threads, which stop a device that lets writers wait.
  [[nodiscard]] std::atomic<bool>& writers_wait_for_device() { return writers_wait_for_device_; }
  /// Null where this system cannot protect mappings (or protection is off).
  [[nodiscard]] const Userfaultfd* uffd() const { return uffd_ ? &*uffd_ : nullptr; }
  /// Why `uffd` is null.
  [[nodiscard]] const Error& uffd_error() const { return uffd_error_; }
  /// Whether another page of a mapping may stand in a VMA of its own: for a writer's sake; and for
  /// making room, to which half of them is open.
  [[nodiscard]] bool has_room_for_redirect() const { return lone_pages() < lone_pages_max_; }
  [[nodiscard]] bool has_room_for_scattering() const {
    return counters_.pages_scattered.load(std::memory_order_relaxed) < lone_pages_max_ / 2 &&
           has_room_for_redirect();
  }
  [[nodiscard]] const PreservedLimits& preserved_limits() const { return preserved_limits_; }
  /// No further page can be kept before the guard has given up a send. Writers of several files at
  /// one moment may go one each beyond it, and what a truncation leaves to snapshots counts too.
  [[nodiscard]] bool keeps_all_it_may() const {
    return counters_.frames_history.load(std::memory_order_relaxed) >= preserved_limits_.frames_max;
  }
  /// A frame more is in the history: counts it, and tells the guard when it is time to look.
  void one_more_is_kept();
  /// By the clock of SnapshotState::progress_ns.
  [[nodiscard]] Time progress_now() const {
    return tuning_.progress_clock ? tuning_.progress_clock() : monotonic_now();
  }
  /// The guard looks after the file's history and pages away from now on. Under the file's lock.
  void needs_upkeep(CachedFile& file);
  [[nodiscard]] Guard& guard() { return *guard_; }

 private:
  CacheCore(const CacheConfig& config, const CacheTuning& tuning, Arena arena,
            std::optional<Userfaultfd> uffd, Error uffd_error, UniqueFd wants_fd);
  Result<SnapshotState*> freeze_range(const std::shared_ptr<CachedFile>& file, std::uint64_t offset,
                                      std::uint64_t length_bytes, std::vector<PageIndex>* dirty);
  [[nodiscard]] SnapshotState* take_snapshot();
  [[nodiscard]] std::uint64_t lone_pages() const {
    return counters_.pages_away.load(std::memory_order_relaxed) +
           counters_.pages_scattered.load(std::memory_order_relaxed);
  }
  void end_hiding();

  const CacheConfig config_;
  const CacheTuning tuning_;
  std::uint64_t lone_pages_max_ = 0;
  Arena arena_;
  FrameTable frames_;
  ChecksumMemo memo_;
  std::unique_ptr<FrameAudit> audit_;
  FrameAllocator allocator_;
  const PreservedLimits preserved_limits_;
  std::atomic<std::uint64_t> kept_since_look_{0};
  SnapshotPool snapshots_;
  CoreCounters counters_;
  SpareWaiters spare_waiters_;
  PageWants wants_;
  Evictor evictor_;
  std::atomic<bool> writers_wait_for_device_{false};
  std::atomic<bool> shut_down_{false};
  MappingIndex mappings_;
  std::optional<Userfaultfd> uffd_;
  Error uffd_error_;
  std::unique_ptr<Guard> guard_;
};

}  // namespace strictsend::pagecache
