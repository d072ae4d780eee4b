// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/userfaultfd.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.hpp"
#include "base/page.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "pagecache/cached_file.hpp"
#include "pagecache/victim_choice.hpp"

namespace strictsend::pagecache {

class CacheCore;

/// The thread that stands between writers and snapshots: answers the faults of protected pages,
/// collects the history that released and acknowledged snapshots leave, brings pages home, and
/// gives up sends: those of a connection that holds more than it may, and when all together do, or
/// a writer has waited too long for a frame, those that hold most without progress.
///
/// One per cache. It takes files' locks, which are held for memory work only, and otherwise never
/// waits for anything: not for the disk, not for the network, not for an engine thread. What it
/// cannot answer now it puts aside and tries again. Engine threads tell it nothing by system call
/// (they make none): while snapshots are out it looks every tick.
class Guard {
 public:
  static Result<std::unique_ptr<Guard>> start(CacheCore& core);
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  ~Guard();
  /// Ends the thread after it has collected what is released. Idempotent.
  void stop();

  /// Something may be there to do, and the guard may be sleeping without a tick.
  void wake_if_idle();
  /// Work through a whole tick now.
  void hurry();
  /// The file has history or pages away from now on.
  void add(std::shared_ptr<CachedFile> file);
  /// Files that still have; and faults that wait for a frame.
  [[nodiscard]] bool has_work() const;

 private:
  struct WaitingFault {
    std::shared_ptr<CachedFile> file;
    std::uint64_t page = 0;
    bool write = false;  ///< at a protected page, rather than at one that the mapping does not show
    Time since;
  };
  enum class Answer : std::uint8_t { answered, put_aside };

  Guard(CacheCore& core, UniqueFd wake_fd) : core_(core), wake_fd_(std::move(wake_fd)) {}
  void run();
  void sleep(Duration limit);

  // Faults (guard.cpp).
  bool answer_faults();
  void answer(const uffd_msg& message, Time since);
  [[nodiscard]] Answer answer_write(CachedFile& file, std::uint64_t page) const;
  [[nodiscard]] Answer answer_missing(const std::shared_ptr<CachedFile>& file,
                                      std::uint64_t page) const;
  [[nodiscard]] Answer answer(const WaitingFault& fault) const;
  void retry_waiting_faults();
  void note_stall(Time since);

  // Upkeep (guard_upkeep.cpp). True: something was done.
  bool tick();
  bool finish_released();
  void finish(SnapshotState& snapshot);
  void put_back_dequeued();
  bool look_after_files();
  bool collect_acknowledged(CachedFile& file);
  bool bring_home(CachedFile& file);
  /// Returns how many frames that set free.
  std::uint64_t collect_range(CachedFile& file, std::uint64_t begin, std::uint64_t end);
  void verify(CachedFile& file, const SnapshotState& snapshot, std::uint64_t begin,
              std::uint64_t end);

  // Giving up sends (guard_relief.cpp).
  struct Held {
    std::uint64_t owner = 0;
    SnapshotState* snapshot = nullptr;
    std::uint64_t pages = 0;
    std::size_t holder = 0;  ///< among holders_
  };
  void keep_limits(Time now);
  void relieve_writers(Time now);
  [[nodiscard]] std::uint64_t frames_kept() const;
  void find_holders();
  [[nodiscard]] const Held& first_held_of(std::size_t holder) const;
  /// Both return how many frames that set free, if only once no descriptor is on them.
  std::uint64_t give_up(std::size_t holder, std::atomic<std::uint64_t>& counter);
  std::uint64_t revoke(SnapshotState& snapshot);

  CacheCore& core_;
  UniqueFd wake_fd_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> idle_{false};  // the guard sleeps without a tick; whoever wakes it clears it
  std::atomic<bool> hurry_{false};
  std::atomic<std::uint64_t> work_{0};  // files under upkeep + waiting faults; the guard's

  std::mutex added_mutex_;
  std::vector<std::shared_ptr<CachedFile>> added_;

  // The guard thread's own.
  std::vector<std::shared_ptr<CachedFile>> files_;
  std::deque<WaitingFault> waiting_faults_;
  std::vector<SnapshotState*> still_queued_;  // finished, but in the loader's list
  Time last_victim_;
  std::vector<Held> held_;  // as found last, by holder
  std::vector<Holder> holders_;

  std::thread thread_;
};

}  // namespace strictsend::pagecache
