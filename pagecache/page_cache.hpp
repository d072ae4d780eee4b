// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/clock.hpp"
#include "base/page.hpp"
#include "base/result.hpp"
#include <strictsend/file.hpp>

namespace strictsend::pagecache {

class CachedFile;
class SnapshotState;
struct CacheTuning;

struct CacheConfig {
  std::uint64_t cache_bytes = 0;  ///< frames for files and spares
  std::uint32_t port_frames =
      0;  ///< further frames, set aside in one run for the engine and its port
  std::uint32_t spare_frames = 0;  ///< of the cache, kept for preserving; 0: 1/16, at least 256
  std::uint32_t snapshots_max = 0;
  /// Larger files are not kept as a whole: their pages come when they are wanted. 0: all the cache.
  std::uint64_t whole_file_bytes_max = 0;
  Duration writer_wait_limit = milliseconds(100);
  /// Old pages that snapshots of one owner (`belongs_to`) may keep, and all together; beyond that
  /// sends are given up. 0: the spare frames and half of the others; and half of that, or all the
  /// spare frames if they are more, for one owner.
  std::uint64_t preserved_bytes_per_owner_max = 0;
  std::uint64_t preserved_bytes_max = 0;
  bool protect = true;  ///< false only to measure or show what protection is for
  bool audit = false;
};

/// Gauges and counters for EngineStats; the names mean the same there.
struct CacheStats {
  std::uint64_t pages_preserved = 0;
  std::uint64_t pages_redirected = 0;
  std::uint64_t pages_came_home = 0;
  std::uint64_t write_faults = 0;
  std::uint64_t writer_waits = 0;
  std::uint64_t writer_stall_ns_max = 0;
  std::uint64_t sends_failed_for_writers = 0;
  std::uint64_t sends_failed_for_connection_limit = 0;
  std::uint64_t sends_failed_for_total_limit = 0;
  std::uint64_t frames_total = 0;
  std::uint64_t frames_free = 0;
  std::uint64_t frames_cached = 0;
  std::uint64_t frames_history = 0;
  std::uint64_t frames_port = 0;
  std::uint64_t frames_pinned = 0;
  std::uint64_t snapshots_live = 0;
  std::uint64_t audit_failures = 0;
  std::uint64_t pages_loaded = 0;
  std::uint64_t pages_evicted = 0;
  std::uint64_t sends_failed_for_disk = 0;
};

/// The outcome of looking a snapshot's page up for sending.
enum class PinOutcome : std::uint8_t {
  pinned,   ///< the frame holds the snapshot's bytes and keeps them until `unpin`
  busy,     ///< the guard is changing this page right now: come back at the next poll
  absent,   ///< not in memory: say so (`want`), and come back when `pages_came` has changed
  revoked,  ///< the snapshot was given up: reset the send (`failure_of` says why)
};

/// The page cache as the engine sees it: an arena, the files in it, snapshots of them, and the
/// guard thread.
///
/// Owned by the engine, made before the port (whose UMEM is this arena) and destroyed after it.
/// Methods say who may call them: *datapath* ones never lock, allocate, make system calls or touch
/// a mapping.
class PageCache {
 public:
  static Result<std::unique_ptr<PageCache>> create(const CacheConfig& config);
  /// With what only tests change (pagecache/cache_core.hpp).
  static Result<std::unique_ptr<PageCache>> create(const CacheConfig& config,
                                                   const CacheTuning& tuning);
  PageCache(const PageCache&) = delete;
  PageCache& operator=(const PageCache&) = delete;
  ~PageCache();

  // The arena. Constant after creation.
  [[nodiscard]] std::byte* dma_view() const;  ///< the only mapping that the engine and a NIC read
  [[nodiscard]] std::uint64_t arena_bytes() const;
  [[nodiscard]] int arena_fd() const;
  [[nodiscard]] FrameIndex port_frames_begin()
      const;  ///< [begin, begin + CacheConfig::port_frames)
  [[nodiscard]] std::uint64_t metadata_bytes() const;

  // Application threads (may wait for the disk; never an engine thread).
  Result<std::shared_ptr<CachedFile>> open_file(const std::string& path, int flags);
  Result<std::shared_ptr<CachedFile>> open_file(int fd);
  /// The freeze: one instant inside this call. Loads a new version first if the backing file was
  /// changed by others; `file` then refers to the new version. ENOBUFS when snapshots_max are live.
  Result<SnapshotState*> freeze(std::shared_ptr<CachedFile>& file, std::uint64_t offset,
                                std::uint64_t length_bytes);
  /// Gives a snapshot up, from any thread but for one snapshot once. Lock-free; the guard collects
  /// it later.
  void release(SnapshotState* snapshot);

  // Datapath: the engine thread that sends `snapshot`.
  /// Resolves a page of the file (not of the range) and pins its frame.
  [[nodiscard]] PinOutcome resolve_and_pin(SnapshotState& snapshot, PageIndex page,
                                           FrameIndex& frame);
  /// After a turn in which a page was `absent`, or one behind it might be: wakes the loader if it
  /// sleeps.
  void wake_loader();
  /// Changes when something that senders wanted has come into memory, or cannot.
  [[nodiscard]] std::uint64_t pages_came() const;

  /// Any thread but an engine's: what the loader calls whenever `pages_came` has changed, to wake
  /// who sleeps. With none, nobody is called any more once this has returned.
  void on_pages_came(std::function<void()> listener);
  void unpin(FrameIndex frame);
  /// For the deliberate errors of base/mutation.hpp alone: pins without looking what is there.
  void pin_blindly(FrameIndex frame);
  /// Everything below this offset in the file is acknowledged and will not be read again. It counts
  /// as progress, made `now`, if it is past the end of a page.
  void advance(SnapshotState& snapshot, std::uint64_t file_offset, Time now);
  /// Whose send the snapshot is now: those with the same word, which is not 0, share one limit of
  /// preserved pages, and are given up together.
  void belongs_to(SnapshotState& snapshot, std::uint64_t owner);
  /// What was sent before it is acknowledged: from now on it is itself expected to get on.
  void turn_has_come(SnapshotState& snapshot, Time now);
  /// Bytes [offset, offset+length) of a frame that the caller has pinned, as an Internet checksum;
  /// memoised per frame.
  [[nodiscard]] std::uint64_t frame_sum(FrameIndex frame, std::uint32_t offset,
                                        std::uint32_t length);

  /// A writer has waited beyond its limit, and giving up sends has freed no frame, for all are
  /// under descriptors. Any thread; one relaxed load.
  [[nodiscard]] bool writers_wait_for_device() const;

  [[nodiscard]] CacheStats stats() const;
  /// Waits until the guard has collected everything that was released and brought every page home
  /// that can be. True when frames free + cached = total and no snapshot and no pin is left. Not an
  /// engine thread.
  [[nodiscard]] bool settle(Duration limit);
  /// Writes back what was changed and can be, as the destructor does, and leaves everything else as
  /// it is: for a cache that has to stay. Afterwards no file may be opened and nothing frozen.
  void close_files();

 private:
  class Impl;
  explicit PageCache(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// What the public handles need of a snapshot (any thread that holds it).
[[nodiscard]] std::uint64_t snapshot_offset(const SnapshotState& snapshot);
[[nodiscard]] std::uint64_t snapshot_length_bytes(const SnapshotState& snapshot);
[[nodiscard]] const FileAttributes& snapshot_attributes(const SnapshotState& snapshot);
[[nodiscard]] std::uint64_t snapshot_pages_preserved(const SnapshotState& snapshot);
[[nodiscard]] bool snapshot_revoked(const SnapshotState& snapshot);
/// Why it was given up (errno; 0: it was not): ENOBUFS for a writer; ESTALE or the disk's error
/// where pages that were not in memory cannot be had any more.
[[nodiscard]] int snapshot_failure(const SnapshotState& snapshot);
/// See Snapshot::part.
Result<SnapshotState*> snapshot_part(const SnapshotState& snapshot, std::uint64_t offset,
                                     std::uint64_t length_bytes);
/// Drops the snapshot through the cache that made it (for handles, which know no cache).
void snapshot_release(SnapshotState* snapshot);

// What the public File does, on any application thread.
[[nodiscard]] std::uint64_t file_size_bytes(const CachedFile& file);
Result<std::size_t> file_read(CachedFile& file, std::span<std::byte> into, std::uint64_t offset);
Result<std::size_t> file_write(CachedFile& file, std::span<const std::byte> from,
                               std::uint64_t offset);
Result<std::uint64_t> file_append(CachedFile& file, std::span<const std::byte> from);
Result<void> file_truncate(CachedFile& file, std::uint64_t size_bytes);
Result<std::span<std::byte>> file_map(const std::shared_ptr<CachedFile>& file);
Result<void> file_sync(CachedFile& file);

}  // namespace strictsend::pagecache
