// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "apps/http/stream.hpp"
#include "apps/serve/file_resolver.hpp"
#include "apps/serve/server_counters.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::serve {

struct StoreConfig {
  std::size_t files_max = 1024;  ///< kept open in the cache
  bool listing = false;          ///< a directory without an index is listed; else it gets 403
};

/// The files that are served: keeps those opened in the engine's cache while there is room, the
/// least recently asked for going first, and takes the snapshots.
///
/// Any thread but the engine's own; the engine must outlive it and every representation it made.
class FileStore {
 public:
  FileStore(Engine& engine, FileResolver resolver, const StoreConfig& config);

  /// Answers from what is open: a few system calls on the path, and a freeze. Nothing: the file has
  /// to be loaded first, see `load`.
  [[nodiscard]] std::optional<http::Resolution> find(const std::string& path);
  /// Loads the file, for which others may have to leave the cache, or lists the directory, and
  /// answers. Waits for the disk.
  [[nodiscard]] http::Resolution load(const std::string& path);

  /// The file as it is now, by `find` or `load`.
  [[nodiscard]] http::Resolution current(const std::string& path);

  [[nodiscard]] const FileResolver& resolver() const { return resolver_; }
  /// Writes what it counts into its members of `counters`. Waits for nobody.
  void counts(ServerCounters& counters) const;

 private:
  struct OpenFile {
    FileIdentity identity;
    File file;
  };

  [[nodiscard]] std::optional<File> look_up(const FileIdentity& identity);
  void keep(const FileIdentity& identity, const File& file);
  bool make_room(std::uint64_t bytes, const FileIdentity& not_this);
  [[nodiscard]] Result<http::Resolution> freeze(const Found& found, File file);
  [[nodiscard]] http::Resolution list(const std::string& path) const;

  Engine& engine_;
  const FileResolver resolver_;
  const StoreConfig config_;

  // Statistics, in no order with anything else.
  std::atomic<std::uint64_t> files_open_{0};
  std::atomic<std::uint64_t> files_found_{0};
  std::atomic<std::uint64_t> files_loaded_{0};
  std::atomic<std::uint64_t> files_dropped_{0};

  std::mutex mutex_;
  std::list<OpenFile> files_;  // by mutex_; latest asked for first
  std::map<FileIdentity, std::list<OpenFile>::iterator> by_identity_;  // by mutex_
};

}  // namespace strictsend::serve
