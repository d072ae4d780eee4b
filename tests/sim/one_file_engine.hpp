// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "tests/support/sim_engine.hpp"
#include "tests/support/temp_file.hpp"

namespace strictsend::testing {

/// An engine in virtual time with one file in its cache, which must balance when the test is over.
class OneFileEngine : public ::testing::Test {
 protected:
  OneFileEngine() {
    options.cache.cache_bytes = 4096 * page_bytes;
    options.cache.snapshots_max = 64;
  }

  /// With `options` as they are, and a file of so many random bytes, the same ones each time.
  void start_engine(std::size_t file_bytes) {
    engine = std::make_unique<SimEngine>(options);
    std::mt19937 random(1);
    content.resize(file_bytes);
    for (char& c : content)
      c = static_cast<char>(random());
    disk.emplace().write(std::as_bytes(std::span(content)));
    auto opened = engine->cache().open_file(disk->path(), O_RDWR);
    ASSERT_TRUE(opened) << opened.error().message();
    file = std::move(*opened);
  }

  void TearDown() override {
    if (!engine) return;
    engine->on_event = nullptr;
    file.reset();
    EXPECT_TRUE(engine->stop_and_settle()) << "everything balances";
    EXPECT_EQ(engine->port().stats().changed_under_descriptor, 0U);
  }

  SimEngine::Options options;
  std::unique_ptr<SimEngine> engine;
  std::optional<TempFile> disk;
  std::string content;
  std::shared_ptr<pagecache::CachedFile> file;
};

}  // namespace strictsend::testing
