// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/fair_lock.hpp"
#include "base/page.hpp"
#include "pagecache/frame_allocator.hpp"
#include "pagecache/mapping.hpp"
#include "pagecache/page_table.hpp"
#include "pagecache/snapshot.hpp"
#include "pagecache/sparse_bits.hpp"
#include <strictsend/file.hpp>

namespace strictsend::pagecache {

class CacheCore;

/// What the loader keeps with a file: its backing file, its identity. Destroyed with the file.
class FileOrigin {
 public:
  FileOrigin() = default;
  FileOrigin(const FileOrigin&) = delete;
  FileOrigin& operator=(const FileOrigin&) = delete;
  virtual ~FileOrigin() = default;
};

/// Which pages of a file are in memory.
enum class Residency : std::uint8_t {
  fixed,   ///< all, always: no disk stands behind it
  loaded,  ///< all at first; where room is needed they leave, and come again when they are wanted
  on_demand,  ///< none at first. Such a file is called paged, and is never mapped
};

/// One version of a file in memory: its pages, their history, the snapshots of it, its mapping.
///
/// Shared by handles, snapshots and the loader's registry; the last one gives its frames back, on
/// whatever thread that happens. Keeps the core alive. Made by CacheCore::create_file, filled by
/// the loader before anybody else sees it, then changed only under `lock`, by the guard (faults,
/// coming home, collecting), by freezes, and by FileEdit. Senders read `table` without the lock.
class CachedFile final : public std::enable_shared_from_this<CachedFile> {
 public:
  CachedFile(std::shared_ptr<CacheCore> owner, std::uint64_t size, Residency residency);
  CachedFile(const CachedFile&) = delete;
  CachedFile& operator=(const CachedFile&) = delete;
  ~CachedFile();

  [[nodiscard]] std::uint64_t pages() const { return pages_for(size_bytes.load()); }
  /// Pages in memory. Under the lock.
  [[nodiscard]] std::uint64_t resident_pages() const {
    return evictable ? resident.count() : page_count;
  }

  /// Takes the lock.
  [[nodiscard]] bool is_mapped() {
    const std::scoped_lock guard(lock);
    return mapping != nullptr;
  }

  /// The disk has not this version any more, so what leaves the memory is gone. Under the lock.
  [[nodiscard]] bool is_irrecoverable() const {
    return superseded || load_error.load(std::memory_order_relaxed) != 0;
  }

  /// The runs of frames that hold the pages now, in file order: where the loader reads into,
  /// through CacheCore::arena().dma(). Only before the file is published, or under the lock.
  [[nodiscard]] std::vector<FrameRun> extents() const;

  /// Adds pages at the end, at home in these frames and protected; the lists of bits grow along.
  void add_pages(std::span<const FrameRun> runs);
  /// Adds pages at the end that are not in memory. Of a paged file.
  void add_absent_pages(std::uint64_t count);

  const std::shared_ptr<CacheCore> core;
  const bool evictable;                ///< pages may leave the memory
  const bool paged;                    ///< all pages never were in it together
  std::unique_ptr<FileOrigin> origin;  ///< the loader's; set before the file is published

  /// First come, first served; held for memory copies and memory system calls only, never across
  /// disk I/O nor an access to memory that may be a mapping.
  FairLock lock;

  // --- Under `lock` (size_bytes may be read without).
  PageTable table;
  std::atomic<std::uint64_t> size_bytes;
  std::uint64_t page_count = 0;  ///< pages_for(size_bytes) outside an edit
  /// What snapshots are told while nothing was written; the loader sets it from the backing file.
  FileAttributes attributes;
  /// Something was written since the last freeze; the next one makes up a new mtime and tag.
  bool written = false;

  std::uint64_t epoch = 1;           ///< of the next freeze
  std::vector<SnapshotState*> live;  ///< registered snapshots, by ascending epoch
  SparseBits unprotected;  ///< pages that are written without a fault: the inverse sticky bits
  SparseBits dirty;        ///< written since loaded or last synced
  SparseBits has_history;
  SparseBits away;      ///< current frame != home
  SparseBits resident;  ///< of an evictable file: pages with a frame
  /// Pages that the mapping does not show: no page table entry, and the VMA's frame is others'. A
  /// fault tells when one is wanted.
  SparseBits hidden;
  SparseBits scattered;  ///< pages of the mapping that stand, or will once shown, in a VMA each
  /// Of a loaded file's pages that are not in memory: what their bytes sum up to.
  std::unordered_map<std::uint64_t, std::uint64_t> evicted_sums;
  std::uint32_t kept_resident = 0;  ///< by so many (KeptResident)
  bool superseded = false;          ///< the disk has a newer version, which is another CachedFile
  std::uint64_t evict_hand = 0;     ///< where the search for pages to evict goes on
  bool in_upkeep = false;  ///< the guard has it on its list (history to collect, pages away)

  std::unique_ptr<Mapping> mapping;  ///< null until the first map()

  // --- Any thread.
  /// Why pages that are not in memory cannot be had any more (errno); 0: they can. Set once.
  std::atomic<int> load_error{0};

 private:
  /// Room for the entries and bits of so many pages.
  void make_entries(std::uint64_t count);
};

/// No page of the file leaves the memory while this lives. Takes the lock.
class KeptResident {
 public:
  explicit KeptResident(CachedFile& file) : file_(file) {
    const std::scoped_lock lock(file.lock);
    ++file.kept_resident;
  }
  KeptResident(const KeptResident&) = delete;
  KeptResident& operator=(const KeptResident&) = delete;
  ~KeptResident() {
    const std::scoped_lock lock(file_.lock);
    --file_.kept_resident;
  }

 private:
  CachedFile& file_;
};

}  // namespace strictsend::pagecache
