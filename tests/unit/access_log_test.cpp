// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/access_log.hpp"

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include "tests/unit/http_support.hpp"

namespace strictsend::serve {
namespace {

Transfer transfer() {
  Transfer transfer;
  transfer.status = 200;
  transfer.access = {"192.0.2.1", "GET", "/a?b", 1, "http://from/", "agent/1", 100};
  transfer.result.bytes_acked = 1100;
  transfer.result.pages_preserved = 7;
  return transfer;
}

TEST(AccessLine, is_the_combined_format_and_our_own_behind_it) {
  EXPECT_EQ(access_line(transfer(), 784'111'777, 0.0123),
            "192.0.2.1 - - [06/Nov/1994:08:49:37 +0000] \"GET /a?b HTTP/1.1\" 200 1000 "
            "\"http://from/\" \"agent/1\" bytes_acked=1100 seconds=0.012 pages_preserved=7\n");
}

TEST(AccessLine, has_dashes_for_what_was_not_sent_and_the_reason_of_an_early_end) {
  Transfer unreadable = transfer();
  unreadable.status = 400;
  unreadable.access = {"192.0.2.1", "", "", 1, "", "", 100};
  unreadable.result.bytes_acked = 50;
  unreadable.result.error = ECONNRESET;
  const std::string line = access_line(unreadable, 0, 0);
  EXPECT_NE(line.find(" \"-\" 400 0 \"-\" \"-\" "), std::string::npos) << line;
  EXPECT_TRUE(line.ends_with(" cut=ECONNRESET\n")) << line;
}

TEST(AccessLine, lets_no_client_end_a_quotation_or_the_line) {
  Transfer hostile = transfer();
  hostile.access.user_agent = "a\" 200 \\ \n\x1b\xff";
  const std::string line = access_line(hostile, 0, 0);
  EXPECT_NE(line.find("\"a\\x22 200 \\x5C \\x0A\\x1B\\xFF\""), std::string::npos) << line;
  EXPECT_EQ(line.find('\n'), line.size() - 1);
}

class AccessLogTest : public ::testing::Test {
 protected:
  AccessLogTest() { spdlog::set_level(spdlog::level::off); }
  [[nodiscard]] std::string text(const std::string& name) const {
    std::ifstream file(place_.at(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  /// The log writes when it gets to it.
  void wait_for(const std::string& name, const std::string& expected) const {
    for (int i = 0; i < 10'000 && text(name) != expected; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_EQ(text(name), expected);
  }
  http::TemporaryRoot place_;
};

TEST_F(AccessLogTest, appends_lines_in_order) {
  place_.file("log", "before\n");
  {
    auto log = AccessLog::open(place_.at("log"));
    ASSERT_TRUE(log) << log.error().message();
    for (int i = 0; i < 100; ++i)
      (*log)->add(std::to_string(i) + "\n");
  }
  std::string expected = "before\n";
  for (int i = 0; i < 100; ++i)
    expected += std::to_string(i) + "\n";
  EXPECT_EQ(text("log"), expected);
}

TEST_F(AccessLogTest, goes_on_in_a_new_file_when_the_old_one_was_renamed) {
  auto log = AccessLog::open(place_.at("log"));
  ASSERT_TRUE(log);
  (*log)->add("one\n");
  wait_for("log", "one\n");
  std::filesystem::rename(place_.at("log"), place_.at("log.1"));
  (*log)->reopen();
  (*log)->add("two\n");
  wait_for("log", "two\n");
  EXPECT_EQ(text("log.1"), "one\n");
}

TEST_F(AccessLogTest, keeps_the_old_file_when_there_can_be_no_new_one) {
  place_.file("dir/log", "");
  auto log = AccessLog::open(place_.at("dir/log"));
  ASSERT_TRUE(log);
  std::filesystem::rename(place_.at("dir"), place_.at("moved"));
  (*log)->reopen();
  (*log)->add("one\n");
  wait_for("moved/log", "one\n");
}

TEST_F(AccessLogTest, counts_what_a_full_disk_does_not_take) {
  auto log = AccessLog::open("/dev/full");
  ASSERT_TRUE(log);
  (*log)->add("one\n");
  (*log)->add("two\n");
  for (int i = 0; i < 10'000 && (*log)->lines_lost() < 2; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ((*log)->lines_lost(), 2U);
}

TEST_F(AccessLogTest, says_which_file_cannot_be_opened) {
  const auto log = AccessLog::open(place_.at("none/log"));
  ASSERT_FALSE(log);
  EXPECT_NE(log.error().message().find("none/log"), std::string::npos);
}

}  // namespace
}  // namespace strictsend::serve
