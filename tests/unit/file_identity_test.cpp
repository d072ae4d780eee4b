// SPDX-License-Identifier: Apache-2.0
#include "pagecache/file_identity.hpp"

#include <sys/stat.h>

#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/unique_fd.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::pagecache {
namespace {

using test::put_file;
using test::random_bytes;
using test::TempDir;

class FileIdentityTest : public testing::Test {
 protected:
  FileIdentity identity_of(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    auto identity = identify(fd.get(), path);
    EXPECT_TRUE(identity.has_value());
    return identity.value_or(FileIdentity{});
  }
  TempDir dir_;
};

TEST_F(FileIdentityTest, one_file_has_one_key_under_all_its_names) {
  put_file(dir_.path("a"), random_bytes(10, 1));
  put_file(dir_.path("other"), random_bytes(10, 1));
  ASSERT_EQ(::link(dir_.path("a").c_str(), dir_.path("b").c_str()), 0);
  EXPECT_EQ(identity_of(dir_.path("a")), identity_of(dir_.path("b")));
  EXPECT_NE(identity_of(dir_.path("a")).key, identity_of(dir_.path("other")).key);
  EXPECT_EQ(identity_of(dir_.path("a")).size_bytes, 10U);
}

TEST_F(FileIdentityTest, a_change_after_settling_shows_though_size_and_mtime_stay) {
  const std::string path = dir_.path("a");
  put_file(path, random_bytes(10, 1));
  wait_until_settled(identity_of(path));
  const FileIdentity before = identity_of(path);
  put_file(path, random_bytes(10, 2));
  const timespec times[2] = {{0, UTIME_OMIT},
                             {before.mtime_ns / 1'000'000'000, before.mtime_ns % 1'000'000'000}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  const FileIdentity after = identity_of(path);
  EXPECT_EQ(after.size_bytes, before.size_bytes);
  EXPECT_EQ(after.mtime_ns, before.mtime_ns);
  EXPECT_NE(after, before);
}

TEST_F(FileIdentityTest, waits_only_while_a_later_change_could_hide_behind_the_tick) {
  FileIdentity identity;
  identity.ctime_ns = 1'000'000'000;
  const std::int64_t granularity = timestamp_granularity.ns;
  EXPECT_EQ(time_until_settled(identity, 1'000'000'000).ns, granularity);
  EXPECT_EQ(time_until_settled(identity, 1'000'000'001).ns, granularity - 1);
  EXPECT_EQ(time_until_settled(identity, 1'000'000'000 + granularity).ns, 0);
  EXPECT_EQ(time_until_settled(identity, 999'999'999).ns, 0) << "ctime in the future";
}

TEST_F(FileIdentityTest, tells_a_change_of_the_inode_alone_from_one_of_the_bytes) {
  const FileIdentity identity{{1, 2}, 3, 4, 5, 1, 0644, 10, 20};
  const auto to = [&](const FileIdentity& after) { return change_between(identity, after); };
  EXPECT_EQ(to(identity), FileChange::none);
  EXPECT_EQ(to({{1, 2}, 3, 4, 9, 1, 0644, 10, 20}), FileChange::unexplained);
  EXPECT_EQ(to({{1, 2}, 3, 4, 9, 0, 0644, 10, 20}), FileChange::inode);
  EXPECT_EQ(to({{1, 2}, 3, 4, 9, 1, 0600, 10, 20}), FileChange::inode);
  EXPECT_EQ(to({{1, 2}, 3, 4, 9, 1, 0644, 11, 20}), FileChange::inode);
  EXPECT_EQ(to({{1, 2}, 3, 4, 9, 1, 0644, 10, 21}), FileChange::inode);
  EXPECT_EQ(to({{1, 2}, 9, 4, 9, 1, 0644, 10, 20}), FileChange::content);
  EXPECT_EQ(to({{1, 2}, 3, 9, 9, 1, 0600, 10, 20}), FileChange::content);
  EXPECT_EQ(to({{1, 9}, 3, 4, 9, 1, 0644, 10, 20}), FileChange::content);
}

TEST_F(FileIdentityTest, only_regular_files_have_one) {
  UniqueFd directory(::open(dir_.path().c_str(), O_RDONLY | O_CLOEXEC));
  auto identity = identify(directory.get(), "the directory");
  ASSERT_FALSE(identity.has_value());
  EXPECT_EQ(identity.error().errno_value, EISDIR);
  UniqueFd device(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  identity = identify(device.get(), "/dev/null");
  ASSERT_FALSE(identity.has_value());
  EXPECT_EQ(identity.error().errno_value, EINVAL);
  EXPECT_NE(identity.error().hint.find("character device"), std::string::npos);
  identity = identify(-1, "nothing");
  ASSERT_FALSE(identity.has_value());
  EXPECT_EQ(identity.error().errno_value, EBADF);
}

TEST_F(FileIdentityTest, entity_tags_differ_with_every_part_and_are_valid_opaque_tags) {
  FileIdentity identity{{1, 2}, 3, 4, 5};
  const std::string tag = entity_tag_of(identity);
  for (const FileIdentity& other :
       {FileIdentity{{9, 2}, 3, 4, 5}, FileIdentity{{1, 9}, 3, 4, 5}, FileIdentity{{1, 2}, 9, 4, 5},
        FileIdentity{{1, 2}, 3, 9, 5}, FileIdentity{{1, 2}, 3, 4, 9}})
    EXPECT_NE(entity_tag_of(other), tag);
  EXPECT_EQ(entity_tag_of(FileIdentity{{1, 2}, 3, 4, 5}), tag);
  for (const char c : tag)
    EXPECT_TRUE(c == '-' || std::isalnum(static_cast<unsigned char>(c))) << c;
}

}  // namespace
}  // namespace strictsend::pagecache
