// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/file_loader.hpp"

#include <optional>
#include <utility>

namespace strictsend::serve {
namespace {

constexpr std::size_t finder_threads = 2;
constexpr std::size_t loader_threads = 4;

}  // namespace

Result<std::unique_ptr<FileLoader>> FileLoader::create(Engine& engine, FileResolver resolver,
                                                       const StoreConfig& config) {
  Result<app::WakeUp> wake_up = app::WakeUp::create();
  if (!wake_up) return tl::unexpected(wake_up.error());
  return std::unique_ptr<FileLoader>(
      new FileLoader(engine, std::move(resolver), config, std::move(*wake_up)));
}

FileLoader::FileLoader(Engine& engine, FileResolver resolver, const StoreConfig& config,
                       app::WakeUp wake_up)
    : store_(engine, std::move(resolver), config),
      wake_up_(std::move(wake_up)),
      loaders_(loader_threads),
      finders_(finder_threads) {}

void FileLoader::request(ConnectionId connection, std::string path) {
  finders_.post([this, connection, path = std::move(path)] {
    if (std::optional<http::Resolution> found = store_.find(path))
      return finish(connection, std::move(*found));
    loaders_.post([this, connection, path] { finish(connection, store_.load(path)); });
  });
}

void FileLoader::finish(ConnectionId connection, http::Resolution resolution) {
  {
    const std::lock_guard lock(mutex_);
    done_.push_back({connection, std::move(resolution)});
  }
  wake_up_.signal();
}

std::vector<FileLoader::Done> FileLoader::take() {
  wake_up_.clear();
  const std::lock_guard lock(mutex_);
  return std::exchange(done_, {});
}

}  // namespace strictsend::serve
