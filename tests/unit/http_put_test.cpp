// SPDX-License-Identifier: Apache-2.0
// PUT: what a session makes of it, and how a file gets its name.
#include <sys/resource.h>
#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "apps/serve/upload_file.hpp"
#include "tests/unit/http_support.hpp"

namespace strictsend::http {
namespace {

using namespace std::chrono_literals;

std::string put(const std::string& target, const std::string& body,
                const std::string& fields = {}) {
  return "PUT " + target +
         " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         fields + "\r\n" + body;
}
const std::string chunked_head =
    "PUT /new HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

class PutTest : public ::testing::Test {
 protected:
  PutTest() { root_.file("hello.txt", "hello, world\n"); }
  static SessionLimits limits() {
    SessionLimits limits;
    limits.put_bytes_max = 100'000;
    return limits;
  }
  TemporaryRoot root_;
  Conversation c_{root_, limits(), true};
};

TEST_F(PutTest,
       of_a_new_file_gets_201_and_of_another_version_204_as_rfc_9110_section_9_3_4_has_it) {
  EXPECT_EQ(c_.say(put("/dir/new", "abc")).got().status, 201);
  EXPECT_EQ(c_.uploads.stored.at("dir/new"), "abc");
  const ParsedResponse r = c_.say(put("/dir/new", "def")).got();
  EXPECT_EQ(r.status, 204);
  EXPECT_EQ(r.fields.count("Content-Length"), 0U);
  EXPECT_EQ(c_.uploads.stored.at("dir/new"), "def");
  EXPECT_EQ(c_.say(get("/hello.txt")).got().status, 200);
}

TEST_F(PutTest, of_an_empty_file_stores_one) {
  EXPECT_EQ(c_.say(put("/new", "")).got().status, 201);
  EXPECT_EQ(c_.uploads.stored.at("new"), "");
}

TEST_F(PutTest, takes_chunks_whatever_the_pieces) {
  const std::string request = chunked_head + "5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\n\r\n";
  for (std::size_t cut = 1; cut < request.size(); ++cut) {
    Conversation c(root_, limits(), true);
    c.say(request.substr(0, cut)).say(request.substr(cut) + get("/hello.txt"));
    ASSERT_EQ(c.stream.statuses, (std::vector<int>{201, 200})) << cut;
    EXPECT_EQ(c.uploads.stored.at("new"), "hello, world");
  }
}

TEST_F(PutTest, takes_a_body_longer_than_its_buffer) {
  std::string body;
  for (int i = 0; i < 20'000; ++i)
    body += std::to_string(i % 10);
  EXPECT_EQ(c_.say(put("/new", body) + get("/hello.txt")).got().status, 201);
  EXPECT_EQ(c_.uploads.stored.at("new"), body);
  EXPECT_EQ(c_.got().status, 200);
}

TEST_F(PutTest, while_the_disk_is_busy_nothing_more_is_read) {
  c_.stream.incoming = put("/new", std::string(60'000, 'x'));
  c_.session.on_readable();
  c_.session.on_upload(c_.uploads.take());
  const std::size_t unread = c_.stream.incoming.size();
  EXPECT_GT(unread, 40'000U);
  c_.session.on_readable();
  EXPECT_EQ(c_.stream.incoming.size(), unread);
  EXPECT_TRUE(c_.session.busy());
  c_.settle();
  EXPECT_EQ(c_.got().status, 201);
}

TEST_F(PutTest, invites_a_client_that_waits_as_rfc_9110_section_10_1_1_has_it) {
  c_.say("PUT /new HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(c_.got().status_line, "HTTP/1.1 100 Continue");
  EXPECT_TRUE(c_.stream.outgoing.empty());
  EXPECT_EQ(c_.say("abc").got().status, 201);
  EXPECT_EQ(c_.say(get("/hello.txt")).got().status, 200);
}

TEST_F(PutTest, does_not_invite_who_has_begun_or_will_be_refused) {
  EXPECT_EQ(c_.say(put("/new", "abc", "Expect: 100-continue\r\n")).got().status, 201);
  c_.uploads.refusal = Refusal{412, "No."};
  const ParsedResponse r =
      c_.say("PUT /new HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
          .got();
  EXPECT_EQ(r.status, 412);
  EXPECT_EQ(r.fields.at("Connection"), "close");
}

TEST_F(PutTest, that_is_too_long_gets_413) {
  Conversation by_length(root_, limits(), true);
  EXPECT_EQ(
      by_length.say("PUT /new HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n").got().status,
      413);
  EXPECT_TRUE(by_length.stream.closed);

  c_.say(chunked_head);
  for (int i = 0; i < 101; ++i)
    c_.say("3e8\r\n" + std::string(1000, 'x') + "\r\n");
  EXPECT_EQ(c_.got().status, 413);
  EXPECT_TRUE(c_.stream.closed);
  EXPECT_EQ(c_.uploads.abandoned, 1);
  EXPECT_TRUE(c_.uploads.stored.empty());
}

TEST_F(PutTest, needs_a_length_and_takes_no_part_and_no_directory) {
  EXPECT_EQ(c_.say("PUT /new HTTP/1.1\r\nHost: a\r\n\r\n").got().status, 411);
  EXPECT_EQ(c_.say(put("/new", "a", "Content-Range: bytes 0-0/2\r\n")).got().status, 400)
      << "RFC 9110 §14.5";
  EXPECT_EQ(c_.say(put("/dir/", "abc")).got().status, 409);
  EXPECT_EQ(c_.say(get("/hello.txt")).got().status, 200) << "the bodies were skipped";
  EXPECT_TRUE(c_.uploads.stored.empty());
}

TEST_F(PutTest, that_is_broken_off_leaves_nothing) {
  c_.say("PUT /new HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\nabc");
  c_.session.on_peer_closed();
  c_.settle();
  EXPECT_EQ(c_.uploads.abandoned, 1);
  EXPECT_TRUE(c_.stream.statuses.empty());
  EXPECT_TRUE(c_.stream.closed);

  Conversation broken(root_, limits(), true);
  EXPECT_EQ(broken.say(chunked_head + "3\r\nabc\r\nx\r\n").got().status, 400);
  EXPECT_EQ(broken.uploads.abandoned, 1);
  EXPECT_TRUE(broken.stream.closed);
}

TEST_F(PutTest, that_stands_still_gets_408_and_one_that_moves_does_not) {
  c_.say("PUT /new HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\n");
  for (int i = 0; i < 5; ++i) {
    c_.pass(9s);
    c_.say("x");
  }
  EXPECT_TRUE(c_.stream.statuses.empty());
  c_.pass(11s);
  EXPECT_EQ(c_.got().status, 408);
  EXPECT_EQ(c_.uploads.abandoned, 1);
  EXPECT_TRUE(c_.stream.closed);
}

TEST_F(PutTest, that_a_disk_refuses_ends_with_its_reason) {
  c_.say("PUT /new HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\nabc");
  c_.uploads.refusal = Refusal{507, "Full."};
  const ParsedResponse r = c_.say("def").got();
  EXPECT_EQ(r.status, 507);
  EXPECT_EQ(r.fields.at("Connection"), "close");
  EXPECT_EQ(c_.uploads.abandoned, 0);
}

TEST_F(PutTest, is_not_there_unless_it_is_allowed) {
  Conversation c(root_);
  const ParsedResponse r = c.say(put("/new", "abc")).got();
  EXPECT_EQ(r.status, 405);
  EXPECT_EQ(r.fields.at("Allow"), "GET, HEAD");
  EXPECT_EQ(c_.say("POST / HTTP/1.1\r\nHost: a\r\n\r\n").got().fields.at("Allow"),
            "GET, HEAD, PUT");
}

class UploadFileTest : public ::testing::Test {
 protected:
  UploadFileTest() { root_.file("old", "old bytes"); }
  [[nodiscard]] tl::expected<serve::UploadFile, Refusal> create(const std::string& path) const {
    return serve::UploadFile::create(resolver_, path);
  }
  [[nodiscard]] std::string bytes(const std::string& name) const {
    std::ifstream file(root_.at(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(root_.path()), {}));
  }
  TemporaryRoot root_;
  serve::FileResolver resolver_ = serve::FileResolver::create(root_.path()).value();
};

TEST_F(UploadFileTest, changes_the_name_from_the_old_version_to_the_new_one) {
  ASSERT_EQ(::chmod(root_.at("old").c_str(), 0640), 0);
  auto upload = create("old");
  ASSERT_TRUE(upload.has_value());
  ASSERT_TRUE(upload->write("new "));
  ASSERT_TRUE(upload->write("bytes"));
  EXPECT_EQ(bytes("old"), "old bytes");
  ASSERT_TRUE(upload->make_durable());
  EXPECT_EQ(upload->take_name(false), UploadProgress::replaced);
  EXPECT_EQ(bytes("old"), "new bytes");
  EXPECT_TRUE(upload->make_name_durable());
  EXPECT_EQ(files(), 1U);
  struct stat status {};
  ASSERT_EQ(::stat(root_.at("old").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0640U);
}

TEST_F(UploadFileTest, that_is_given_up_leaves_no_trace) {
  {
    auto upload = create("new");
    ASSERT_TRUE(upload.has_value());
    ASSERT_TRUE(upload->write("bytes"));
    EXPECT_EQ(files(), 2U);
  }
  EXPECT_EQ(files(), 1U);
}

TEST_F(UploadFileTest, that_must_be_new_does_not_take_a_name_that_was_taken_meanwhile) {
  auto upload = create("new");
  ASSERT_TRUE(upload.has_value());
  root_.file("new", "of another");
  const auto taken = upload->take_name(true);
  ASSERT_FALSE(taken.has_value());
  EXPECT_EQ(taken.error().status, 412);
  EXPECT_EQ(bytes("new"), "of another");
}

TEST_F(UploadFileTest, for_which_there_is_no_room_gets_507) {
  auto upload = create("new");
  ASSERT_TRUE(upload.has_value());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{100, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto written = upload->write(std::string(1000, 'x'));
  EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(written.has_value());
  EXPECT_EQ(written.error().status, 507);
}

TEST_F(UploadFileTest, goes_nowhere_else_than_into_a_directory_beneath_the_root) {
  std::filesystem::create_directories(root_.at("dir"));
  root_.link("out", "/tmp");
  root_.link("link", "old");
  const auto status = [this](const std::string& path) {
    const auto upload = create(path);
    return upload ? 200 : upload.error().status;
  };
  EXPECT_EQ(status("dir/new"), 200);
  EXPECT_EQ(status("none/new"), 409);
  EXPECT_EQ(status("old/new"), 409);
  EXPECT_EQ(status("dir"), 409);
  EXPECT_EQ(status("out/new"), 403);
  EXPECT_EQ(status("../new"), 403);
  EXPECT_EQ(status("link"), 403);
  EXPECT_EQ(status(".strictsend-1"), 403);
  EXPECT_EQ(status(std::string(300, 'n')), 409);
}

}  // namespace
}  // namespace strictsend::http
