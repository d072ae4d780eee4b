// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/fair_lock.hpp"
#include "base/result.hpp"
#include "pagecache/backing_file.hpp"
#include "pagecache/cached_file.hpp"
#include "pagecache/file_loader.hpp"
#include "pagecache/io_ring.hpp"

namespace strictsend::pagecache {

class FileSet;

/// The disk side of one file, shared by its versions in memory.
struct Disk {
  explicit Disk(BackingFile file) : backing(std::move(file)) {}
  /// Held while the file is loaded, written back or looked at, so that nobody takes our own
  /// write-back for a foreign change. Application threads; before CachedFile::lock.
  std::mutex mutex;
  /// A write-back holds `mutex` and may do so for long. Set and cleared by it.
  std::atomic<bool> syncing{false};
  BackingFile backing;
};

/// What the disk side keeps with a version of a file.
class DiskOrigin final : public FileOrigin {
 public:
  DiskOrigin(std::shared_ptr<Disk> d, const FileIdentity& i, std::weak_ptr<FileSet> f)
      : key(i.key), disk(std::move(d)), files(std::move(f)) {
    set_identity(i);
  }

  /// What the backing file was when its bytes were last known to be ours. Under disk->mutex.
  [[nodiscard]] const FileIdentity& identity() const { return identity_; }
  void set_identity(const FileIdentity& identity) {
    identity_ = identity;
    disk_size_bytes.store(identity.size_bytes, std::memory_order_relaxed);
  }

  const FileKey key;
  const std::shared_ptr<Disk> disk;
  const std::weak_ptr<FileSet> files;  ///< makes room when the file grows
  /// Of `identity`, for readers without disk->mutex.
  std::atomic<std::uint64_t> disk_size_bytes{0};
  /// One API writer at a time, so that an append is one run and sizes change in order. Taken before
  /// CachedFile::lock, and kept while a writer waits for a frame; the guard never takes it.
  FairLock writers;

 private:
  FileIdentity identity_;
};

[[nodiscard]] DiskOrigin& disk_origin(const CachedFile& file);

/// Does the version hold bytes that the disk does not? Takes the file's lock.
[[nodiscard]] bool has_unsaved_changes(CachedFile& file);

/// The error for two writers who do not know of each other.
[[nodiscard]] tl::unexpected<Error> conflict_error(const std::string& operation,
                                                   const std::string& name);

/// All files in the cache: one current version for each file on disk, whatever its names. Files
/// that nobody uses stay until room is needed, then go, the longest unused first; changed ones are
/// written back before, and stay if that fails.
///
/// Owned by FileRegistry, known weakly to the files (for room to grow in). Application threads; may
/// wait for the disk. `mutex_` protects the map alone and is never held across I/O: a file that is
/// being loaded or written back for eviction is `busy`, and whoever wants it waits for that.
/// Lock order: writers, disk->mutex, mutex_, CachedFile::lock.
class FileSet : public std::enable_shared_from_this<FileSet> {
 public:
  FileSet(std::shared_ptr<CacheCore> core, const LoadOptions& load_options);
  FileSet(const FileSet&) = delete;
  FileSet& operator=(const FileSet&) = delete;
  ~FileSet() = default;
  /// At the end: writes back what is changed and can be; says in the log what could not.
  void save_all();

  Result<std::shared_ptr<CachedFile>> open(BackingFile backing);
  Result<void> refresh(std::shared_ptr<CachedFile>& file);
  /// Frees a frame at least and so many at best, at whatever cost; false when there is nothing more
  /// to free. In this order: pages of paged files that nobody uses soon, idle files, pages of files
  /// in use, of which those last that are wanted soon, and pages that have to be written back
  /// first.
  bool make_room(std::uint64_t frames = 1);
  /// Frees up to so many frames without a wait, and without taking what somebody uses soon. False:
  /// there is nothing of that kind.
  bool make_spare_room(std::uint64_t frames);
  void drop_idle();
  /// For the errors of a full cache.
  [[nodiscard]] std::string fullness() const;

 private:
  friend class FrameTarget;
  struct Entry {
    std::shared_ptr<CachedFile> file;
    bool busy = false;
    bool unsaveable = false;  ///< could not be written back; tried again when it was used again
    std::uint64_t used = 0;
  };
  using Lock = std::unique_lock<std::mutex>;

  /// `in_use` false: the caller has just found the file unused, so its mapping is too.
  Result<void> refresh_version(std::shared_ptr<CachedFile>& file, bool in_use);
  Result<std::shared_ptr<CachedFile>> load(const FileKey& key, const std::shared_ptr<Disk>& disk);
  Result<std::shared_ptr<CachedFile>> load_frames(const std::shared_ptr<Disk>& disk);
  Result<std::shared_ptr<CachedFile>> load_whole(const std::shared_ptr<Disk>& disk);
  Result<std::shared_ptr<CachedFile>> open_paged(const std::shared_ptr<Disk>& disk,
                                                 FileIdentity identity);
  [[nodiscard]] bool is_kept_whole(std::uint64_t size_bytes) const;
  bool write_back_changed();
  Entry& wait_until_idle(Lock& lock, const FileKey& key);
  enum class WriteBack : std::uint8_t { no, yes };
  bool evict_one(WriteBack changed);
  void keep_descriptors_free();
  void keep_until_drained(IoRing ring, std::shared_ptr<CachedFile> file);
  void reap_stuck();
  void log_mode_once(const FileKey& key, const std::string& name, const std::string& mode);

  const std::shared_ptr<CacheCore> core_;
  const LoadOptions load_options_;
  /// Half of the process's file descriptors: each file has one. Beyond that, idle files go.
  const std::size_t files_max_;

  std::mutex mutex_;
  std::condition_variable not_busy_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, Entry> entries_;  // by device and inode
  std::uint64_t clock_ = 0;
  std::set<std::uint64_t> logged_devices_;
  struct Stuck {
    std::shared_ptr<CachedFile> file;
    IoRing ring;  // first to go: it waits until the kernel lets go of the file's frames
  };
  std::vector<Stuck> stuck_;
};

}  // namespace strictsend::pagecache
