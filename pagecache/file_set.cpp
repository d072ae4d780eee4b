// SPDX-License-Identifier: Apache-2.0
#include "pagecache/file_set.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <errno.h>
#include <thread>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/assert.hpp"
#include "pagecache/cache_core.hpp"
#include "pagecache/file_sync.hpp"
#include "pagecache/frame_target.hpp"

namespace strictsend::pagecache {
namespace {

std::pair<std::uint64_t, std::uint64_t> map_key(const FileKey& key) {
  return {key.device, key.inode};
}

std::size_t descriptors_max() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  return static_cast<std::size_t>(std::min<rlim_t>(limit.rlim_cur, 1 << 20));
}

/// How long to wait for frames that were given back and are still being collected, in steps.
constexpr int collecting_steps_max = 200;
constexpr std::chrono::milliseconds collecting_step{1};
constexpr int borrow_steps_max = 50;
constexpr std::chrono::microseconds borrow_step{200};

std::uint64_t dirty_pages(CachedFile& file) {
  const std::scoped_lock lock(file.lock);
  return file.dirty.count() + file.unprotected.count();
}

}  // namespace

DiskOrigin& disk_origin(const CachedFile& file) {
  STRICTSEND_ASSERT(file.origin != nullptr);
  return static_cast<DiskOrigin&>(*file.origin);
}

bool has_unsaved_changes(CachedFile& file) {
  const std::scoped_lock lock(file.lock);
  // Without protection nobody knows what is written through the mapping.
  const bool unwatched = file.mapping != nullptr && !file.core->config().protect;
  return unwatched || file.dirty.count() != 0 || file.unprotected.count() != 0 ||
         file.size_bytes.load(std::memory_order_relaxed) !=
             disk_origin(file).disk_size_bytes.load(std::memory_order_relaxed);
}

tl::unexpected<Error> conflict_error(const std::string& operation, const std::string& name) {
  return fail(
      operation + " " + name, ESTALE,
      "another process changed the file on disk while it is mapped or has changes here that "
      "were never synced; read what you need of it, then rename a good copy over it and "
      "open that");
}

FileSet::FileSet(std::shared_ptr<CacheCore> core, const LoadOptions& load_options)
    : core_(std::move(core)), load_options_(load_options), files_max_(descriptors_max() / 2) {}

void FileSet::save_all() {
  std::vector<std::shared_ptr<CachedFile>> files;
  {
    const Lock lock(mutex_);
    for (const auto& [key, entry] : entries_)
      if (entry.file != nullptr) files.push_back(entry.file);
  }
  for (const std::shared_ptr<CachedFile>& file : files) {
    if (!has_unsaved_changes(*file)) continue;
    const DiskOrigin& origin = disk_origin(*file);
    if (auto saved = sync_to_disk(*file); !saved)
      spdlog::error("changes of {} are lost: {}", origin.disk->backing.name(),
                    saved.error().message());
  }
}

Result<std::shared_ptr<CachedFile>> FileSet::open(BackingFile backing) {
  const FileKey key = backing.identity().key;
  std::shared_ptr<CachedFile> file;
  bool was_idle = false;
  {
    Lock lock(mutex_);
    Entry& entry = wait_until_idle(lock, key);
    if (entry.file == nullptr) {
      entry.busy = true;
      lock.unlock();
      auto loaded = load(key, std::make_shared<Disk>(std::move(backing)));
      keep_descriptors_free();
      return loaded;
    }
    // Making room uses a file for a moment, and so does who looks through all of them.
    was_idle = entry.file.use_count() == 1;
    // It matters where a mapping that nobody uses any more could be given up.
    for (int i = 0;
         !was_idle && entry.file->is_mapped() && core_->evictor().busy() && i < borrow_steps_max;
         ++i) {
      entry.busy = true;  // so that it stays what it is
      lock.unlock();
      std::this_thread::sleep_for(borrow_step);
      lock.lock();
      entry.busy = false;
      not_busy_.notify_all();
      was_idle = entry.file.use_count() == 1;
    }
    file = entry.file;
  }
  if (auto refreshed = refresh_version(file, !was_idle); !refreshed) {
    // In conflict with the disk, its changes can still be read; freezing and syncing say so.
    if (refreshed.error().errno_value != ESTALE) return tl::unexpected(refreshed.error());
  }
  Disk& disk = *disk_origin(*file).disk;
  if (backing.writable()) {
    const std::scoped_lock lock(disk.mutex);
    if (!disk.backing.writable()) disk.backing.become_writable(std::move(backing));
  }
  return file;
}

Result<void> FileSet::refresh(std::shared_ptr<CachedFile>& file) {
  return refresh_version(file, true);
}

Result<void> FileSet::refresh_version(std::shared_ptr<CachedFile>& file, bool in_use) {
  for (;;) {
    DiskOrigin& origin = disk_origin(*file);
    const auto keeps_its_bytes = [&] {
      if (has_unsaved_changes(*file)) return true;
      const std::scoped_lock lock(file->lock);
      return in_use && file->mapping != nullptr;
    };
    std::shared_ptr<CachedFile> current;
    {
      Lock lock(mutex_);
      Entry& entry = wait_until_idle(lock, origin.key);
      current = entry.file;
      entry.used = ++clock_;
      entry.unsaveable = false;
    }
    if (current != nullptr && current != file) {  // somebody else loaded a newer version
      if (keeps_its_bytes()) return conflict_error("freeze", origin.disk->backing.name());
      file = current;
      in_use = true;
      continue;
    }
    {
      std::unique_lock disk_lock(origin.disk->mutex, std::try_to_lock);
      if (!disk_lock.owns_lock()) {
        // A sync runs: what changes on disk now is ours. Anybody else holds the mutex to find out
        // about a foreign change too, which may have come before this freeze: wait for that.
        if (origin.disk->syncing.load(std::memory_order_acquire)) return {};
        disk_lock.lock();
        disk_lock.unlock();
        continue;
      }
      auto now_identity = origin.disk->backing.identify();
      if (!now_identity) return tl::unexpected(now_identity.error());
      FileChange change = change_between(origin.identity(), *now_identity);
      // What is not in memory of this version cannot be had any more, whatever the times say.
      if (file->load_error.load() != 0) change = FileChange::content;
      if (change == FileChange::none) return {};
      if (keeps_its_bytes()) {
        if (change == FileChange::content)
          return conflict_error("freeze", origin.disk->backing.name());
        // Pages that are still to be read need to know more: such a version keeps what it knows.
        if (change == FileChange::inode || !file->paged) origin.set_identity(*now_identity);
        return {};
      }
    }
    const FileKey key = origin.key;
    const std::shared_ptr<Disk> disk = origin.disk;
    std::shared_ptr<CachedFile> unused;  // goes after the lock
    {
      Lock lock(mutex_);
      Entry& entry = wait_until_idle(lock, key);
      if (entry.file != nullptr && entry.file != file) continue;
      entry.busy = true;
      // A version that only we still know makes room for the next one.
      if (!in_use && entry.file.use_count() == 2) {
        unused = std::move(entry.file);
        file.reset();
      }
    }
    unused.reset();
    auto loaded = load(key, disk);
    if (!loaded) return tl::unexpected(loaded.error());
    file = *std::move(loaded);
    return {};
  }
}

/// Loads and publishes the current version of a file whose entry the caller has made busy.
Result<std::shared_ptr<CachedFile>> FileSet::load(const FileKey& key,
                                                  const std::shared_ptr<Disk>& disk) {
  auto loaded = load_frames(disk);
  std::shared_ptr<CachedFile> old;  // goes after the lock
  {
    const Lock lock(mutex_);
    const auto it = entries_.find(map_key(key));
    STRICTSEND_ASSERT(it != entries_.end() && it->second.busy);
    it->second.busy = false;
    if (loaded) {
      old = std::exchange(it->second.file, *loaded);
      it->second.used = ++clock_;
      it->second.unsaveable = false;
    } else if (it->second.file == nullptr) {
      entries_.erase(it);
    }
  }
  not_busy_.notify_all();
  if (loaded && old != nullptr) {
    const std::scoped_lock lock(old->lock);
    old->superseded = true;
  }
  return loaded;
}

bool FileSet::is_kept_whole(std::uint64_t size_bytes) const {
  const std::uint64_t most = core_->config().whole_file_bytes_max;
  return size_bytes <= (most != 0 ? most : core_->allocator().file_frames() << page_shift);
}

Result<std::shared_ptr<CachedFile>> FileSet::load_frames(const std::shared_ptr<Disk>& disk) {
  reap_stuck();
  const std::scoped_lock disk_lock(disk->mutex);
  auto identity = disk->backing.identify();
  if (!identity) return tl::unexpected(identity.error());
  return is_kept_whole(identity->size_bytes) ? load_whole(disk) : open_paged(disk, *identity);
}

Result<std::shared_ptr<CachedFile>> FileSet::open_paged(const std::shared_ptr<Disk>& disk,
                                                        FileIdentity identity) {
  // Whatever changes the file from now on has to show.
  if (wait_until_settled(identity)) {
    auto settled = disk->backing.identify();
    if (!settled) return tl::unexpected(settled.error());
    identity = *settled;
  }
  auto file = core_->create_paged_file(identity.size_bytes);
  if (!file) return file;
  if (load_options_.direct) disk->backing.open_direct();
  log_mode_once(identity.key, disk->backing.name(), disk->backing.mode_text());
  (*file)->attributes =
      FileAttributes{identity.size_bytes, identity.mtime_ns, entity_tag_of(identity)};
  (*file)->origin = std::make_unique<DiskOrigin>(disk, identity, weak_from_this());
  return file;
}

Result<std::shared_ptr<CachedFile>> FileSet::load_whole(const std::shared_ptr<Disk>& disk) {
  FrameTarget target(*core_, *this);
  auto result = load_file(disk->backing, target, load_options_);
  disk->backing.close_direct("loaded");
  if (!result) return tl::unexpected(result.error());
  log_mode_once(result->identity.key, disk->backing.name(), result->mode);
  std::shared_ptr<CachedFile> file = target.take();
  core_->evictor().add(file);
  file->attributes = FileAttributes{result->identity.size_bytes, result->identity.mtime_ns,
                                    entity_tag_of(result->identity)};
  file->origin = std::make_unique<DiskOrigin>(disk, result->identity, weak_from_this());
  return file;
}

FileSet::Entry& FileSet::wait_until_idle(Lock& lock, const FileKey& key) {
  for (;;) {
    Entry& entry = entries_[map_key(key)];
    if (!entry.busy) return entry;
    not_busy_.wait(lock);
  }
}

/// Pages of files in use that were written can leave once the disk has them.
bool FileSet::write_back_changed() {
  std::vector<std::shared_ptr<CachedFile>> changed;
  {
    const Lock lock(mutex_);
    for (const auto& [key, entry] : entries_)
      if (entry.file != nullptr && !entry.busy && !entry.unsaveable) changed.push_back(entry.file);
  }
  std::erase_if(changed, [](const auto& file) { return !has_unsaved_changes(*file); });
  for (const auto& file : changed) {
    const std::uint64_t dirty_before = dirty_pages(*file);
    auto saved = sync_to_disk(*file);
    // Unprotected pages count as changed however often they are saved.
    if (saved && dirty_pages(*file) < dirty_before) return true;
    if (saved || saved.error().errno_value == EAGAIN || saved.error().errno_value == ENOBUFS)
      continue;
    const Lock lock(mutex_);
    const auto entry = entries_.find(map_key(disk_origin(*file).key));
    if (entry != entries_.end() && entry->second.file == file) entry->second.unsaveable = true;
    spdlog::warn("pages of {} stay in the cache: {}", disk_origin(*file).disk->backing.name(),
                 saved.error().message());
  }
  return false;
}

bool FileSet::make_spare_room(std::uint64_t frames) {
  for (const Eviction kind : {Eviction::unused, Eviction::unwanted})
    if (core_->evictor().evict(frames, kind, EvictFrom::paged_files) > 0) return true;
  return evict_one(WriteBack::no);
}

bool FileSet::make_room(std::uint64_t frames) {
  reap_stuck();
  if (make_spare_room(frames)) return true;
  for (int step = 0; step < collecting_steps_max; ++step) {
    const std::uint64_t free_before = core_->allocator().free_file_frames();
    if (evict_one(WriteBack::yes)) return true;
    for (const Eviction kind :
         {Eviction::unused, Eviction::unwanted, Eviction::not_next, Eviction::any})
      if (core_->evictor().evict(frames, kind, EvictFrom::all_files) > 0) return true;
    if (write_back_changed() &&
        core_->evictor().evict(frames, Eviction::any, EvictFrom::all_files) > 0)
      return true;
    // Frames of sends that are over may still be on their way back.
    const bool collecting = core_->evictor().busy() || core_->allocator().waiting_frames() != 0 ||
                            core_->snapshots().outside() != core_->snapshots().live();
    if (!collecting) return false;
    std::this_thread::sleep_for(collecting_step);
    if (core_->allocator().free_file_frames() > free_before) return true;
  }
  return false;
}

void FileSet::keep_descriptors_free() {
  for (;;) {
    {
      const Lock lock(mutex_);
      if (entries_.size() <= files_max_) return;
    }
    if (!evict_one(WriteBack::no)) return;
  }
}

void FileSet::drop_idle() {
  reap_stuck();
  while (evict_one(WriteBack::yes)) {
  }
}

/// Lets the file go that was not used for longest; changed ones are written back first, or stay.
bool FileSet::evict_one(WriteBack changed) {
  for (;;) {
    Lock lock(mutex_);
    auto victim = entries_.end();
    for (auto it = entries_.begin(); it != entries_.end(); ++it) {
      const Entry& entry = it->second;
      // New references are made under the mutex or from others, so one means: nobody's but ours.
      const bool idle =
          entry.file != nullptr && !entry.busy && !entry.unsaveable && entry.file.use_count() == 1;
      if (idle && changed == WriteBack::no && has_unsaved_changes(*entry.file)) continue;
      if (idle && (victim == entries_.end() || entry.used < victim->second.used)) victim = it;
    }
    if (victim == entries_.end()) return false;
    if (!has_unsaved_changes(*victim->second.file)) {
      const std::shared_ptr<CachedFile> gone = std::move(victim->second.file);
      entries_.erase(victim);
      lock.unlock();
      return true;  // and `gone` gives its frames back
    }
    victim->second.busy = true;
    CachedFile& file = *victim->second.file;
    lock.unlock();
    auto saved = sync_to_disk(file);
    // Once it is not busy any more, somebody else may evict it.
    const std::string name = disk_origin(file).disk->backing.name();
    lock.lock();
    victim->second.busy = false;  // busy entries are not erased, so the iterator still stands
    if (!saved) victim->second.unsaveable = true;
    lock.unlock();
    not_busy_.notify_all();
    if (!saved) spdlog::warn("{} stays in the cache: {}", name, saved.error().message());
  }
}

void FileSet::keep_until_drained(IoRing ring, std::shared_ptr<CachedFile> file) {
  const Lock lock(mutex_);
  stuck_.push_back({std::move(file), std::move(ring)});
}

void FileSet::reap_stuck() {
  std::vector<Stuck> drained;  // goes after the lock
  const Lock lock(mutex_);
  for (auto it = stuck_.begin(); it != stuck_.end();) {
    if (it->ring.drain(Duration{0})) {
      drained.push_back(std::move(*it));
      it = stuck_.erase(it);
    } else {
      ++it;
    }
  }
}

void FileSet::log_mode_once(const FileKey& key, const std::string& name, const std::string& mode) {
  const Lock lock(mutex_);
  if (!logged_devices_.insert(key.device).second) return;
  spdlog::info("files on the file system of {} are loaded with {}", name, mode);
}

std::string FileSet::fullness() const {
  const std::uint64_t frames = core_->allocator().file_frames();
  return fmt::format("the cache takes {} bytes of files", frames << page_shift);
}

}  // namespace strictsend::pagecache
