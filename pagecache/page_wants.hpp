// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/unique_fd.hpp"
#include "pagecache/snapshot.hpp"

namespace strictsend::pagecache {

/// A page for which a thread waits in a mapping.
struct FaultedPage {
  std::shared_ptr<CachedFile> file;
  std::uint64_t page = 0;
};

/// Pages that are not in memory and that senders want, or threads in mappings: on their way to the
/// loader; and the news that something has come back.
///
///     engine thread                     loader
///     want(snapshot, page) ──list──▶    take_all: the snapshots that want something
///     wake(), once a turn               … reads from disk, installs …
///     pages_came() has changed  ◀────   came(): whoever waits looks again
///
/// A snapshot is in the list at most once; a want that comes while it is there replaces the one
/// before. Lock-free but for the loader's sleep; an engine thread makes a system call only to wake
/// a loader that sleeps. Owned by CacheCore.
class PageWants {
 public:
  explicit PageWants(UniqueFd event_fd) : event_fd_(std::move(event_fd)) {}

  // The engine thread that sends the snapshot.
  void want(SnapshotState& snapshot, std::uint64_t page, std::uint32_t count);
  /// At the end of a turn; a system call only if something is wanted and the loader sleeps.
  void wake() {
    if (head_.load(std::memory_order_seq_cst) != nullptr) wake_surely();
  }
  void wake_surely();
  // The guard.
  /// False: there is no loader any more.
  [[nodiscard]] bool want_for_mapping(FaultedPage page);
  // Engine threads.
  [[nodiscard]] std::uint64_t pages_came() const { return came_.load(std::memory_order_seq_cst); }

  // The loader.
  /// Linked by next_wanting. Each has to be taken out of use by `answered` before it is looked at
  /// for what it wants.
  [[nodiscard]] SnapshotState* take_all() { return head_.exchange(nullptr); }
  /// From here on the state may be used for another snapshot, and may be queued again.
  static void answered(SnapshotState& snapshot) {
    // Not a plain store: what is read next must be read after it.
    snapshot.want_queued.exchange(false, std::memory_order_seq_cst);
  }
  [[nodiscard]] std::vector<FaultedPage> take_faulted();
  /// What comes for a mapping from here on is refused.
  void no_loader_any_more();
  void sleep(Duration limit);
  void came();
  /// Called by `came`, to wake engine threads that sleep; nothing: nobody is called any more once
  /// this has returned.
  void listen(std::function<void()> listener);

 private:
  UniqueFd event_fd_;
  std::atomic<SnapshotState*> head_{nullptr};
  std::atomic<bool> sleeping_{false};
  std::atomic<std::uint64_t> came_{0};
  std::mutex mutex_;
  std::function<void()> listener_;
  std::vector<FaultedPage> faulted_;
  std::atomic<bool> any_faulted_{false};
  bool has_loader_ = true;
};

}  // namespace strictsend::pagecache
