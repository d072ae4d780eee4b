// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "apps/serve/file_store.hpp"
#include "apps/serve/work_pool.hpp"
#include "apps/support/event_sources.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::serve {

/// Gets files ready beside the server's thread. There are two pools, so that what is in the cache
/// never waits behind what has to come from a disk:
///
///     request ──▶ finders (open already? freeze) ──no──▶ loaders (open, load, freeze)
///                        └───────────── done ◀──────────────┘
///
/// Owned by the server; `request` and `take` are its thread's. The engine must outlive it.
class FileLoader {
 public:
  static Result<std::unique_ptr<FileLoader>> create(Engine& engine, FileResolver resolver,
                                                    const StoreConfig& config);

  struct Done {
    ConnectionId connection;
    http::Resolution resolution;
  };

  /// One `Done` follows, with the same connection.
  void request(ConnectionId connection, std::string path);
  /// Readable while there is something to take.
  [[nodiscard]] int fd() const { return wake_up_.fd(); }
  [[nodiscard]] std::vector<Done> take();
  [[nodiscard]] FileStore& store() { return store_; }

 private:
  FileLoader(Engine& engine, FileResolver resolver, const StoreConfig& config, app::WakeUp wake_up);
  void finish(ConnectionId connection, http::Resolution resolution);

  FileStore store_;
  app::WakeUp wake_up_;
  std::mutex mutex_;
  std::vector<Done> done_;  // by mutex_
  // The finders post to the loaders, and both finish into the members above: they end first.
  WorkPool loaders_;
  WorkPool finders_;
};

}  // namespace strictsend::serve
