// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <list>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/cache_on_disk.hpp"
#include "tests/support/temp_dir.hpp"

// Random operations on a file in the cache and on a plain vector must agree, while random snapshots
// and descriptors hold on to bytes of the past.

namespace strictsend::pagecache {
namespace {

using test::CacheOnDisk;
using test::get_file;
using test::put_file;
using test::random_bytes;
using test::TakenSnapshot;
using Bytes = std::vector<std::byte>;

constexpr std::size_t size_max = 40 * page_bytes;  // tiny, so that operations meet

class Model {
 public:
  Model(std::uint64_t seed, bool mapped)
      : random_(seed), mapped_(mapped), content_(random_bytes(seed % size_max, seed)) {
    put_file(disk_.path("file"), content_);
    file_ = disk_.open("file");
    if (mapped && !file_map(file_)) mapped_ = false;
  }

  void step() {
    switch (below(mapped_ ? 12 : 10)) {
      case 0:
      case 1:
        write();
        break;
      case 2:
        append();
        break;
      case 3:
        truncate();
        break;
      case 4:
      case 5:
        take_snapshot();
        break;
      case 6:
        drop_snapshot();
        break;
      case 7:
        pin();
        break;
      case 8:
        unpin();
        break;
      case 9:
        below(20) == 0 ? sync() : read();
        break;
      default:
        store();
        break;
    }
  }

  void finish() {
    EXPECT_EQ(CacheOnDisk::read(*file_), content_);
    while (!pins_.empty())
      unpin();
    while (!snapshots_.empty())
      drop_snapshot();
    sync();
    EXPECT_TRUE(disk_.settles());
    EXPECT_EQ(disk_.cache().stats().audit_failures, 0U);
  }
  [[nodiscard]] CacheStats stats() { return disk_.cache().stats(); }

 private:
  struct Kept {
    TakenSnapshot snapshot;
    Bytes bytes;
    std::uint64_t offset;
    int pins = 0;
  };
  struct Pin {
    Kept* kept;
    FrameIndex frame;
    std::uint64_t page;
  };

  static CacheConfig config() {
    CacheConfig config = CacheOnDisk::config_of(1024 * page_bytes, 512);
    config.audit = true;
    return config;
  }
  std::size_t below(std::size_t limit) {
    return limit == 0 ? 0 : std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_);
  }
  /// Mostly small, sometimes some pages.
  Bytes some_bytes() {
    return random_bytes(below(below(4) == 0 ? 3 * page_bytes : 200), random_());
  }

  void write() {
    const Bytes bytes = some_bytes();
    std::size_t offset = below(content_.size() + (below(10) == 0 ? 2 * page_bytes : 1));
    if (!pins_.empty() && below(3) == 0)  // where a descriptor is out
      offset = std::min(pins_.back().page * page_bytes, content_.size());
    offset = std::min(offset, size_max - bytes.size());
    ASSERT_EQ(CacheOnDisk::value(file_write(*file_, bytes, offset)), bytes.size());
    if (bytes.empty()) return;
    content_.resize(std::max(content_.size(), offset + bytes.size()));
    std::copy(bytes.begin(), bytes.end(), content_.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  void append() {
    const Bytes bytes = some_bytes();
    if (content_.size() + bytes.size() > size_max) return;
    ASSERT_EQ(CacheOnDisk::value(file_append(*file_, bytes)), content_.size());
    content_.insert(content_.end(), bytes.begin(), bytes.end());
  }
  void truncate() {
    const std::size_t size = below(3) == 0 ? below(size_max) : below(content_.size() + 1);
    CacheOnDisk::value(file_truncate(*file_, size));
    content_.resize(size);
  }
  void take_snapshot() {
    if (snapshots_.size() >= 12) return;
    const std::size_t offset = below(content_.size() + 1);
    const std::size_t length = below(2) == 0 ? content_.size() : below(content_.size() + 1);
    const std::size_t count = std::min(length, content_.size() - offset);
    const std::span<const std::byte> range = std::span(content_).subspan(offset, count);
    snapshots_.push_back(
        {disk_.freeze(file_, offset, length), Bytes(range.begin(), range.end()), offset});
    ASSERT_EQ(snapshots_.back().snapshot.attributes().size_bytes, content_.size());
  }
  void drop_snapshot() {
    if (snapshots_.empty()) return;
    auto it = snapshots_.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(below(snapshots_.size())));
    ASSERT_EQ(it->snapshot.bytes(), it->bytes);
    if (it->pins == 0) snapshots_.erase(it);
  }
  void pin() {
    if (snapshots_.empty() || pins_.size() >= 16) return;
    // Often the newest, whose frames are still the file's own.
    auto it = std::prev(snapshots_.end());
    if (below(3) == 0) {
      it = snapshots_.begin();
      std::advance(it, static_cast<std::ptrdiff_t>(below(snapshots_.size())));
    }
    if (it->bytes.empty()) return;
    const std::uint64_t page = (it->offset + below(it->bytes.size())) / page_bytes;
    ++it->pins;
    pins_.push_back({&*it, it->snapshot.pin(PageIndex{static_cast<std::uint32_t>(page)}), page});
  }
  /// A descriptor completes: what the device read until now must be the snapshot's.
  void unpin() {
    if (pins_.empty()) return;
    const std::size_t which = below(pins_.size());
    const Pin pin = pins_[which];
    const std::uint64_t begin = std::max(pin.page * page_bytes, pin.kept->offset);
    const std::uint64_t end =
        std::min((pin.page + 1) * page_bytes, pin.kept->offset + pin.kept->bytes.size());
    ASSERT_EQ(std::memcmp(disk_.cache().dma_view() + offset_of(pin.frame).value +
                              (begin - pin.page * page_bytes),
                          pin.kept->bytes.data() + (begin - pin.kept->offset), end - begin),
              0);
    disk_.cache().unpin(pin.frame);
    --pin.kept->pins;
    pins_.erase(pins_.begin() + static_cast<std::ptrdiff_t>(which));
  }
  void read() {
    const std::size_t offset = below(content_.size() + page_bytes);
    Bytes bytes(below(3 * page_bytes));
    const std::size_t count = CacheOnDisk::value(file_read(*file_, bytes, offset));
    const std::size_t from = std::min(offset, content_.size());
    ASSERT_EQ(count, std::min(bytes.size(), content_.size() - from));
    ASSERT_EQ(std::memcmp(bytes.data(), content_.data() + from, count), 0);
  }
  void sync() {
    CacheOnDisk::value(file_sync(*file_));
    ASSERT_EQ(get_file(disk_.path("file")), content_);
  }
  /// Through the mapping, sometimes behind the end of the file, where it must leave no trace.
  void store() {
    const std::span<std::byte> span = CacheOnDisk::value(file_map(file_));
    ASSERT_EQ(span.size(), content_.size());
    if (span.empty()) return;
    const std::size_t room = pages_for(span.size()) * page_bytes;
    const std::size_t at = below(10) == 0 ? room - 1 - below(100) : below(span.size());
    const auto value = static_cast<std::byte>(random_());
    *static_cast<volatile std::byte*>(span.data() + at) = value;
    if (at < content_.size()) content_[at] = value;
  }

  std::mt19937_64 random_;
  bool mapped_;
  CacheOnDisk disk_{config()};
  Bytes content_;
  std::shared_ptr<CachedFile> file_;
  std::list<Kept> snapshots_;
  std::vector<Pin> pins_;
};

class FileModelTest : public testing::TestWithParam<std::uint64_t> {
 protected:
  static void run(bool mapped) {
    SCOPED_TRACE(testing::Message() << "seed " << GetParam());
    Model model(GetParam(), mapped);
    for (int i = 0; i < 6000; ++i) {
      model.step();
      if (testing::Test::HasFatalFailure()) FAIL() << "at step " << i;
    }
    model.finish();
    // The run was worth something: old bytes were kept in both ways.
    EXPECT_GT(model.stats().pages_preserved, 100U);
    EXPECT_GT(model.stats().pages_redirected, 10U);
    EXPECT_GT(model.stats().pages_came_home, 0U);
  }
};

TEST_P(FileModelTest, the_file_api_agrees_with_a_vector) {
  run(false);
}
TEST_P(FileModelTest, the_file_api_beside_a_mapped_writer_agrees_with_a_vector) {
  run(true);
}

INSTANTIATE_TEST_SUITE_P(Seeds, FileModelTest, testing::Values(1, 22'222, 303'030));

}  // namespace
}  // namespace strictsend::pagecache
