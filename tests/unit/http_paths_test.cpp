// SPDX-License-Identifier: Apache-2.0
// What a path may name, from the request target down to the kernel's answer.
#include <sys/stat.h>
#include <sys/syscall.h>

#include <fcntl.h>
#include <filesystem>
#include <set>
#include <string>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "tests/unit/http_support.hpp"

namespace strictsend::http {
namespace {

class PathsTest : public ::testing::Test {
 protected:
  PathsTest() {
    outer_.file("secret", "the secret");
    outer_.file("root/file.txt", "inside");
    outer_.file("root/dir/file.txt", "deeper");
    outer_.file("root/..notparent", "odd name");
    outer_.link("root/out", "../secret");
    outer_.link("root/absolute", outer_.at("root/file.txt"));
    outer_.link("root/absolute-out", outer_.at("secret"));
    outer_.link("root/out-dir", "..");
    outer_.link("root/in", "dir/file.txt");
    outer_.link("root/dir/up", "../file.txt");
    outer_.link("root/loop", "loop");
    outer_.link("root/dangling", "nowhere");
    outer_.link("root/magic", "/proc/self/cwd");
  }
  int status_of(const std::string& target) {
    auto path = path_of_target(target);
    if (!path) return path.error().status;
    const Resolution resolution = files_.resolve(*path);
    if (!resolution) return resolution.error().status;
    body_ = dynamic_cast<const MemoryRepresentation&>(**resolution).bytes();
    return 200;
  }

  TemporaryRoot outer_;
  std::string body_;

 private:
  // The fixture's files are there before the resolver, whose root is one of them.
  struct Made {
    explicit Made(const TemporaryRoot& root) {
      std::filesystem::create_directories(root.at("root"));
    }
  };
  Made made_{outer_};
  QueuedFiles files_{outer_.at("root")};
};

TEST_F(PathsTest, what_is_inside_is_found) {
  EXPECT_EQ(status_of("/file.txt"), 200);
  EXPECT_EQ(body_, "inside");
  EXPECT_EQ(status_of("/dir/file.txt"), 200);
  EXPECT_EQ(status_of("//dir//./file.txt"), 200);
  EXPECT_EQ(status_of("/dir/../file.txt"), 200);
  EXPECT_EQ(body_, "inside");
  EXPECT_EQ(status_of("/..notparent"), 200);
}

TEST_F(PathsTest, links_that_stay_inside_work) {
  EXPECT_EQ(status_of("/in"), 200);
  EXPECT_EQ(body_, "deeper");
  EXPECT_EQ(status_of("/dir/up"), 200);
  EXPECT_EQ(body_, "inside");
}

TEST_F(PathsTest, no_spelling_of_dot_dot_leaves_the_root) {
  for (const char* target :
       {"/../secret", "/%2e%2e/secret", "/.%2E/secret", "/dir/../../secret", "/..%2fsecret",
        "/%2e%2e%2fsecret", "//../secret", "/dir/%2e%2e/%2e%2e/secret", "/./../secret",
        "/../root/file.txt", "http://host/../secret", "/..", "/../../../../../../etc/passwd"})
    EXPECT_EQ(status_of(target), 400) << target;
}

TEST_F(PathsTest, the_kernel_lets_no_dot_dot_leave_the_root_either) {
  for (const char* path : {"../secret", "dir/../../secret", "..", "dir/../../root/file.txt"}) {
    const auto found = serve::FileResolver::create(outer_.at("root"))->find(path);
    ASSERT_FALSE(found.has_value()) << path;
    EXPECT_EQ(found.error().status, 403) << path;
  }
}

TEST_F(PathsTest, an_escape_that_is_escaped_is_a_name) {
  EXPECT_EQ(status_of("/%252e%252e/secret"), 404);
  EXPECT_EQ(status_of("/..%5csecret"), 404);
}

TEST_F(PathsTest, links_that_leave_the_root_are_forbidden) {
  for (const char* target : {"/out", "/absolute", "/absolute-out", "/out-dir/secret",
                             "/out-dir/root/file.txt", "/magic", "/loop"})
    EXPECT_EQ(status_of(target), 403) << target;
}

TEST_F(PathsTest, what_is_not_there_is_not_found) {
  for (const std::string& target :
       {std::string("/missing"), std::string("/dir/missing"), std::string("/missing/file.txt"),
        std::string("/file.txt/"), std::string("/file.txt/x"), std::string("/dangling"),
        "/" + std::string(300, 'n')})
    EXPECT_EQ(status_of(target), 404) << target;
}

TEST_F(PathsTest, a_directory_without_an_index_is_not_listed) {
  for (const char* target : {"/", "/dir/", "/.", "/dir/.."})
    EXPECT_EQ(status_of(target), 403) << target;
}

TEST_F(PathsTest, a_directory_without_a_slash_is_redirected) {
  EXPECT_EQ(status_of("/dir"), 301);
}

TEST_F(PathsTest, a_directory_is_its_index) {
  outer_.file("root/dir/index.html", "the index");
  EXPECT_EQ(status_of("/dir/"), 200);
  EXPECT_EQ(body_, "the index");
  outer_.file("root/index.html", "the root's index");
  EXPECT_EQ(status_of("/"), 200);
  EXPECT_EQ(body_, "the root's index");
}

TEST_F(PathsTest, an_index_that_leads_out_of_the_root_is_forbidden) {
  outer_.link("root/dir/index.html", "../../secret");
  EXPECT_EQ(status_of("/dir/"), 403);
}

TEST_F(PathsTest, an_index_that_is_a_directory_is_none) {
  std::filesystem::create_directories(outer_.at("root/dir/index.html"));
  EXPECT_EQ(status_of("/dir/"), 403);
  EXPECT_EQ(status_of("/dir/index.html"), 301);
  EXPECT_EQ(status_of("/dir/index.html/"), 403);
}

TEST_F(PathsTest, what_is_listed_is_what_can_be_asked_for) {
  ASSERT_EQ(::mkfifo(outer_.at("root/fifo").c_str(), 0644), 0);
  outer_.file("root/.hidden", "x");
  const auto entries = serve::FileResolver::create(outer_.at("root"))->list("./");
  ASSERT_TRUE(entries.has_value());
  std::set<std::string> names;
  for (const ListingEntry& entry : *entries)
    names.insert(entry.name + (entry.is_directory ? "/" : ""));
  EXPECT_EQ(names, (std::set<std::string>{"dir/", "file.txt", "in"}));
}

TEST_F(PathsTest, a_fifo_is_refused_without_being_opened) {
  ASSERT_EQ(::mkfifo(outer_.at("root/fifo").c_str(), 0644), 0);
  EXPECT_EQ(status_of("/fifo"), 403);
  // Had it been opened for reading, this would succeed.
  EXPECT_EQ(::open(outer_.at("root/fifo").c_str(), O_WRONLY | O_NONBLOCK), -1);
  EXPECT_EQ(errno, ENXIO);
}

TEST_F(PathsTest, a_file_that_may_not_be_read_is_forbidden) {
  outer_.file("root/private", "x");
  ASSERT_EQ(::chmod(outer_.at("root/private").c_str(), 0), 0);
  int status = 0;
  // Root may read everything, so this asks as someone else: the raw system call changes the
  // identity of one thread only.
  std::thread([&] {
    if (::geteuid() == 0) {
      ASSERT_EQ(::syscall(SYS_setresuid, 65534, 65534, 65534), 0);
    }
    status = status_of("/private");
  }).join();
  EXPECT_EQ(status, 403);
}

TEST_F(PathsTest, a_name_that_means_another_file_by_now_is_not_opened) {
  const auto resolver = serve::FileResolver::create(outer_.at("root"));
  ASSERT_TRUE(resolver.has_value());
  const auto identity = resolver->find("file.txt");
  ASSERT_TRUE(identity.has_value());
  std::filesystem::rename(outer_.at("root/dir/file.txt"), outer_.at("root/file.txt"));
  const auto fd = resolver->open("file.txt", identity->identity);
  ASSERT_FALSE(fd.has_value());
  EXPECT_EQ(fd.error().status, 404);
}

TEST(FileResolver, says_what_is_wrong_with_a_root) {
  const TemporaryRoot place;
  place.file("plain", "x");
  const auto missing = serve::FileResolver::create(place.at("nothing"));
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().errno_value, ENOENT);
  EXPECT_NE(missing.error().hint.find("--root"), std::string::npos);
  const auto file = serve::FileResolver::create(place.at("plain"));
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().errno_value, ENOTDIR);
}

}  // namespace
}  // namespace strictsend::http
