// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/file_store.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <memory>
#include <utility>

#include <spdlog/spdlog.h>

#include "apps/http/mime.hpp"
#include "apps/serve/snapshot_representation.hpp"

namespace strictsend::serve {
namespace {

using http::Refusal;
using http::Resolution;

/// What ends when other files leave the cache or some sends are finished.
bool is_want_of_room(int error) {
  return error == ENOBUFS || error == ENOSPC || error == ENOMEM;
}
bool is_want_of_time(int error) {
  return error == EAGAIN || error == EMFILE || error == ENFILE;
}

Refusal refusal_for(const std::string& path, const Error& error) {
  spdlog::warn("{}: {}", path, error.message());
  if (error.errno_value == EFBIG) return {503, "The file is larger than the server can send."};
  if (is_want_of_room(error.errno_value))
    return {503, "The server's cache is full of files that are being sent; try again.", 1};
  if (is_want_of_time(error.errno_value))
    return {503, "The server cannot open this file at the moment; try again.", 1};
  return {500, "The server could not read this file."};
}

}  // namespace

FileStore::FileStore(Engine& engine, FileResolver resolver, const StoreConfig& config)
    : engine_(engine), resolver_(std::move(resolver)), config_(config) {}

std::optional<Resolution> FileStore::find(const std::string& path) {
  const auto found = resolver_.find(path);
  if (!found) return Resolution(tl::unexpected(found.error()));
  if (found->is_directory) return std::nullopt;
  std::optional<File> file = look_up(found->identity);
  if (!file) return std::nullopt;
  Result<Resolution> frozen = freeze(*found, std::move(*file));
  // Whatever went wrong (a new version that does not fit, say), `load` can do more about it.
  if (!frozen) return std::nullopt;
  files_found_.fetch_add(1, std::memory_order_relaxed);
  return std::move(*frozen);
}

Resolution FileStore::load(const std::string& path) {
  const auto found = resolver_.find(path);
  if (!found) return tl::unexpected(found.error());
  if (found->is_directory) return list(found->path);
  const FileIdentity& identity = found->identity;
  const auto fd = resolver_.open(found->path, identity);
  if (!fd) return tl::unexpected(fd.error());
  struct stat status {};
  if (::fstat(fd->get(), &status) != 0) return tl::unexpected(Refusal{500, "The file is gone."});

  const auto size_bytes = static_cast<std::uint64_t>(status.st_size);

  // A freeze may need room for a new version of the file, but as well it may be snapshots that are
  // short; to let go of every file would not help then, so this is tried once.
  bool made_room_to_freeze = false;
  while (true) {
    Result<File> file = engine_.open_file(fd->get());
    Result<Resolution> frozen = file ? freeze(*found, *file) : tl::unexpected(file.error());
    if (frozen) {
      keep(identity, *file);
      files_loaded_.fetch_add(1, std::memory_order_relaxed);
      return std::move(*frozen);
    }
    const bool may_try = is_want_of_room(frozen.error().errno_value) && !made_room_to_freeze;
    if (!may_try || !make_room(size_bytes, identity))
      return tl::unexpected(refusal_for(path, frozen.error()));
    made_room_to_freeze = file.has_value();
  }
}

Resolution FileStore::current(const std::string& path) {
  if (std::optional<Resolution> found = find(path)) return std::move(*found);
  return load(path);
}

Resolution FileStore::list(const std::string& path) const {
  if (!config_.listing)
    return tl::unexpected(
        Refusal{403, "This is a directory; directories are not listed, ask for a file in it."});
  auto entries = resolver_.list(path);
  if (!entries) return tl::unexpected(entries.error());
  return std::make_unique<http::PageRepresentation>(http::listing_page(path, std::move(*entries)));
}

Result<Resolution> FileStore::freeze(const Found& found, File file) {
  const http::TimePoint began = std::chrono::steady_clock::now();
  Result<Snapshot> snapshot = engine_.freeze(file, 0, std::numeric_limits<std::int64_t>::max());
  if (!snapshot) return tl::unexpected(snapshot.error());
  {
    // The freeze may have gone over to a new version of the file; the handle to the old one is
    // dropped after the lock.
    const std::lock_guard lock(mutex_);
    if (const auto kept = by_identity_.find(found.identity); kept != by_identity_.end())
      std::swap(kept->second->file, file);
  }
  return Resolution(std::make_unique<SnapshotRepresentation>(std::move(*snapshot), began,
                                                             http::media_type(found.path)));
}

std::optional<File> FileStore::look_up(const FileIdentity& identity) {
  const std::lock_guard lock(mutex_);
  const auto found = by_identity_.find(identity);
  if (found == by_identity_.end()) return std::nullopt;
  files_.splice(files_.begin(), files_, found->second);
  return found->second->file;
}

void FileStore::keep(const FileIdentity& identity, const File& file) {
  // Dropping the last handle of a file frees its pages: not under the lock.
  File dropped;
  const std::lock_guard lock(mutex_);
  if (by_identity_.contains(identity)) return;  // two requests loaded it; the handles share pages
  files_.push_front({identity, file});
  by_identity_.emplace(identity, files_.begin());
  files_open_.store(std::min(files_.size(), config_.files_max), std::memory_order_relaxed);
  if (files_.size() <= config_.files_max) return;
  files_dropped_.fetch_add(1, std::memory_order_relaxed);
  dropped = std::move(files_.back().file);
  by_identity_.erase(files_.back().identity);
  files_.pop_back();
}

/// Lets go of files worth `bytes`, the longest unasked first. False: there was none to let go of.
bool FileStore::make_room(std::uint64_t bytes, const FileIdentity& not_this) {
  std::list<OpenFile> dropped;
  {
    const std::lock_guard lock(mutex_);
    std::uint64_t freed_bytes = 0;
    for (auto file = files_.end(); file != files_.begin() && freed_bytes < bytes;) {
      --file;
      if (file->identity == not_this) continue;
      freed_bytes += file->file.size_bytes();
      by_identity_.erase(file->identity);
      const auto next = std::next(file);
      dropped.splice(dropped.end(), files_, file);
      file = next;
    }
    files_open_.store(files_.size(), std::memory_order_relaxed);
  }
  files_dropped_.fetch_add(dropped.size(), std::memory_order_relaxed);
  return !dropped.empty();
}

void FileStore::counts(ServerCounters& counters) const {
  counters.files_open = files_open_.load(std::memory_order_relaxed);
  counters.files_found = files_found_.load(std::memory_order_relaxed);
  counters.files_loaded = files_loaded_.load(std::memory_order_relaxed);
  counters.files_dropped = files_dropped_.load(std::memory_order_relaxed);
}

}  // namespace strictsend::serve
