// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/http/upload.hpp"
#include "apps/serve/file_store.hpp"
#include "apps/serve/server_counters.hpp"
#include "apps/serve/upload_file.hpp"
#include "apps/serve/work_pool.hpp"
#include "apps/support/event_sources.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::serve {

/// Stores what clients send, beside the server's thread. A connection has one upload at most, and
/// awaits the answer to each step before it asks for the next.
///
/// Owned by the server, whose thread makes all calls. The store must outlive it. The end waits for
/// the steps under way, and takes back what is not stored.
class UploadQueue {
 public:
  static Result<std::unique_ptr<UploadQueue>> create(FileStore& store);

  struct Done {
    ConnectionId connection;
    http::UploadOutcome outcome;
  };

  void begin(ConnectionId connection, std::string path, http::Conditions conditions);
  void write(ConnectionId connection, std::string bytes);
  void finish(ConnectionId connection);
  /// Nothing happens where there is none.
  void abandon(ConnectionId connection);

  /// Readable while there is something to take.
  [[nodiscard]] int fd() const { return wake_up_.fd(); }
  [[nodiscard]] std::vector<Done> take();

  /// Writes what it counts into its members of `counters`.
  void counts(ServerCounters& counters) const;

 private:
  /// One upload. After `begin` its steps alone use it, and no two run at once.
  struct Upload {
    std::string path;
    http::Conditions conditions;
    std::optional<UploadFile> file;
  };
  using Key = std::pair<std::uint32_t, std::uint32_t>;

  UploadQueue(FileStore& store, app::WakeUp wake_up);
  static Key key_of(ConnectionId id) { return {id.slot, id.generation}; }
  [[nodiscard]] std::uint64_t& count_of(const http::UploadOutcome& outcome);
  template <class Step>
  void post(ConnectionId connection, Step step);
  [[nodiscard]] http::UploadOutcome begin(Upload& upload);
  [[nodiscard]] http::UploadOutcome commit(Upload& upload);
  /// Evaluates the conditions; true: they hold only while there is no such file.
  [[nodiscard]] tl::expected<bool, http::Refusal> check(const Upload& upload);

  FileStore& store_;
  app::WakeUp wake_up_;
  std::map<Key, std::shared_ptr<Upload>> uploads_;  // the server's thread
  ServerCounters counted_;                          // likewise
  std::mutex commit_mutex_;                         // from a condition's evaluation to its rename
  std::mutex mutex_;
  std::vector<Done> done_;  // by mutex_
  WorkPool workers_;        // they use the members above: they end first
};

}  // namespace strictsend::serve
