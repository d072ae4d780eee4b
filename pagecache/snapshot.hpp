// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.hpp"
#include "base/page.hpp"
#include <strictsend/file.hpp>

namespace strictsend::pagecache {

class CacheCore;
class CachedFile;

inline constexpr std::uint64_t no_page = UINT64_MAX;

/// A snapshot: (file, epoch, range), pooled. Between `freeze` and `release` it belongs to its
/// holder; the guard collects it later and puts it back into the pool.
class SnapshotState {
 public:
  SnapshotState() = default;
  SnapshotState(const SnapshotState&) = delete;
  SnapshotState& operator=(const SnapshotState&) = delete;
  ~SnapshotState() = default;

  /// Does the snapshot still need this page? The guard, or who holds the file's lock.
  [[nodiscard]] bool covers(std::uint64_t page) const {
    return page >= covered_begin_page() && page < end_page;
  }
  [[nodiscard]] std::uint64_t covered_begin_page() const {
    // Audit: what was acknowledged still counts until the guard has verified it.
    return audit_sums.empty() ? begin_offset.load(std::memory_order_acquire) >> page_shift
                              : collected_page;
  }

  // --- Constant from freeze to release.
  CacheCore* core = nullptr;
  std::shared_ptr<CachedFile> file;
  std::uint64_t epoch = 0;
  std::uint64_t offset = 0;
  std::uint64_t end_offset = 0;
  std::uint64_t end_page = 0;
  FileAttributes attributes;

  // --- Shared words.
  /// What lies below will not be read again. Writer: the engine thread (release); read by the guard
  /// (acquire), which thereby sees every pin added before.
  std::atomic<std::uint64_t> begin_offset{0};
  /// Given up for a writer. Writer: the guard (seq_cst, before it reads pins seq_cst); read by the
  /// engine (seq_cst, after it has pinned seq_cst): one of the two sees the other.
  std::atomic<bool> revoked{false};
  /// Why, if not for a writer (errno). Written before `revoked`.
  std::atomic<int> failure{0};
  /// When its begin last got over the end of a page, or its turn came, for choosing a victim.
  /// Writer: the engine thread (relaxed).
  std::atomic<std::int64_t> progress_ns{0};
  /// Whose send it is, once it has been submitted: a connection, mostly; 0: nobody's. Writer: the
  /// engine thread (relaxed).
  std::atomic<std::uint64_t> owner{0};
  /// Writer: whoever holds the file's lock (relaxed).
  std::atomic<std::uint64_t> pages_preserved{0};

  // --- What its sender wants to have in memory that is not there (page_wants.hpp).
  /// Asked for last: these many pages from that one on. Writer: the engine thread (relaxed).
  std::atomic<std::uint64_t> wanted_page{no_page};
  std::atomic<std::uint32_t> wanted_count{0};
  /// In the list of wants: the state is not used again before the loader has cleared this.
  std::atomic<bool> want_queued{false};
  SnapshotState* next_wanting = nullptr;
  /// Reading ahead was asked for up to here. Writer: the engine thread (relaxed); eviction spares
  /// what lies before it.
  std::atomic<std::uint64_t> ahead_page{0};
  std::uint32_t ahead_count = 0;  ///< how far at a time; the engine thread's

  // --- The guard's, under the file's lock.
  std::uint64_t collected_page = 0;  ///< history below it was collected for this snapshot
  /// Pages from there to the end that it reads out of the history; each is one frame, which others
  /// may read too. PageChanger counts, and whoever moves `collected_page`.
  std::uint64_t pages_kept = 0;
  std::vector<std::uint64_t> audit_sums;  ///< of the range's pages at the freeze; empty: no audit
  std::uint64_t audit_first_page = 0;
  /// In the list of released snapshots (written by the releaser before its push).
  SnapshotState* next_released = nullptr;
};

/// Everything below `file_offset` will not be read again. The engine thread that sends the
/// snapshot.
inline void advance_snapshot(SnapshotState& snapshot, std::uint64_t file_offset, Time now) {
  const std::uint64_t before = snapshot.begin_offset.load(std::memory_order_relaxed);
  if (file_offset <= before) return;
  // What sets no frame free is no progress.
  if (file_offset >> page_shift != before >> page_shift)
    snapshot.progress_ns.store(now.ns, std::memory_order_relaxed);
  snapshot.begin_offset.store(file_offset, std::memory_order_release);
}

/// All snapshots there can be. The released ones pass through a lock-free stack to the guard.
/// Owned by CacheCore.
class SnapshotPool {
 public:
  explicit SnapshotPool(std::uint32_t snapshots_max);

  /// Null when snapshots_max are live, or when the guard still holds too many released ones.
  [[nodiscard]] SnapshotState* take();
  /// Whether `take` fails only because the guard still holds too many released ones.
  [[nodiscard]] bool is_behind() const { return live() < live_max_; }
  /// Any thread, an engine's included; once for each take.
  void push_released(SnapshotState* snapshot);
  /// The guard: all that was released, newest first, linked by next_released.
  [[nodiscard]] SnapshotState* pop_released() {
    return released_.exchange(nullptr, std::memory_order_acquire);
  }
  [[nodiscard]] bool has_released() const {
    return released_.load(std::memory_order_relaxed) != nullptr;
  }
  /// The guard (or a freeze that failed): back into the pool.
  void put_back(SnapshotState* snapshot);

  /// Taken and not yet released.
  [[nodiscard]] std::uint64_t live() const { return live_.load(std::memory_order_relaxed); }
  /// Released or taken: not in the pool.
  [[nodiscard]] std::uint64_t outside() const { return outside_.load(); }
  [[nodiscard]] std::uint64_t bytes() const { return capacity_ * sizeof(SnapshotState); }

 private:
  const std::uint64_t live_max_;
  const std::uint64_t capacity_;
  std::unique_ptr<SnapshotState[]> states_;
  std::atomic<SnapshotState*> released_{nullptr};
  std::atomic<std::uint64_t> live_{0};
  std::atomic<std::uint64_t> outside_{0};
  std::mutex mutex_;
  std::vector<SnapshotState*> free_;
};

}  // namespace strictsend::pagecache
