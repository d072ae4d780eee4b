// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "apps/top/options.hpp"
#include "apps/top/view.hpp"

namespace strictsend::top {
namespace {

using namespace std::chrono_literals;
using statistics::ServerStatus;

ServerStatus running() {
  ServerStatus status;
  status.version = "0.1.0";
  status.port.spec = "af_xdp:eth0";
  status.port.driver = "veth";
  status.process.started_unix_ns = 1;
  status.process.uptime_ns = 60'000'000'000;
  status.engine.frames_total = 1000;
  status.engine.frames_free = 250;
  status.engine.sends_failed_for_writers = 3;
  status.queues.resize(2);
  return status;
}

/// Two seconds later.
ServerStatus later(ServerStatus status) {
  status.process.uptime_ns += 2'000'000'000;
  status.engine.payload_bytes_sent += 6U << 20;
  status.engine.segments_sent += 4000;
  status.engine.segments_retransmitted += 40;
  status.engine.pages_preserved += 8;
  status.server.requests_ok += 5;
  status.queues[1].nic_packets_sent += 3000;
  status.queues[1].connections_open = 7;
  return status;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines)
    text += line + '\n';
  return text;
}

/// The line that begins so.
std::string line_of(const std::vector<std::string>& lines, const std::string& beginning) {
  const auto found = std::find_if(lines.begin(), lines.end(), [&](const std::string& line) {
    return line.starts_with(beginning);
  });
  return found == lines.end() ? "" : *found;
}

TEST(View, shows_the_rates_of_the_time_between_the_samples) {
  const ServerStatus before = running();
  const auto lines = view(&before, later(before), 2, {120, 50});
  EXPECT_EQ(line_of(lines, "sending"),
            "sending     3.00 MiB/s   segments 2.00k/s   again 1.00%   copied 0 B/s");
  EXPECT_NE(line_of(lines, "snapshots").find("pages preserved 4/s"), std::string::npos);
  EXPECT_NE(line_of(lines, "requests").find("answered 2.50/s"), std::string::npos);
  EXPECT_NE(line_of(lines, "frames").find("free 250 (25%)"), std::string::npos);
  EXPECT_NE(line_of(lines, "writers").find("victims 3"), std::string::npos);
  EXPECT_NE(line_of(lines, "strictsend").find("2 queues   up 1 m 02 s"), std::string::npos);
  const std::string second = line_of(lines, "1 ");
  EXPECT_NE(second.find("1.50k/s"), std::string::npos) << joined(lines);
}

TEST(View, has_no_rates_before_there_are_two_samples_of_one_life) {
  const ServerStatus before = running();
  const ServerStatus now = later(before);
  EXPECT_NE(line_of(view(nullptr, now, 0, {}), "sending").find("-/s   segments -/s   again -"),
            std::string::npos);
  ServerStatus of_another_life = before;
  of_another_life.process.started_unix_ns = 2;
  EXPECT_EQ(joined(view(&of_another_life, now, 2, {})), joined(view(nullptr, now, 2, {})));
  EXPECT_EQ(joined(view(&now, before, 2, {})), joined(view(nullptr, before, 2, {})))
      << "an older sample is no successor";
  EXPECT_EQ(joined(view(&before, now, 0, {})), joined(view(nullptr, now, 0, {})));
}

TEST(View, never_shows_a_rate_below_zero) {
  ServerStatus before = running();
  before.engine.payload_bytes_sent = 100;
  ServerStatus now = before;
  now.engine.payload_bytes_sent = 50;
  EXPECT_NE(line_of(view(&before, now, 1, {}), "sending").find("0 B/s"), std::string::npos);
}

TEST(View, fits_into_every_terminal) {
  const ServerStatus before = running();
  const ServerStatus now = later(before);
  for (std::size_t columns = 0; columns < 130; ++columns) {
    for (const std::size_t rows : {0U, 1U, 2U, 5U, 14U, 15U, 100U}) {
      const auto lines = view(&before, now, 2, {columns, rows});
      EXPECT_LE(lines.size(), rows);
      for (const std::string& line : lines) {
        EXPECT_LE(line.size(), columns);
        for (const char c : line)
          EXPECT_TRUE(c >= 0x20 && c < 0x7f);
      }
    }
  }
}

TEST(View, of_a_narrow_terminal_leaves_out_whole_numbers) {
  const ServerStatus before = running();
  const auto lines = view(&before, later(before), 2, {45, 50});
  EXPECT_EQ(line_of(lines, "sending"), "sending     3.00 MiB/s   segments 2.00k/s");
  EXPECT_EQ(line_of(lines, "queue"), "queue            sent       packets");
}

TEST(View, of_a_low_terminal_says_how_much_is_missing) {
  ServerStatus now = running();
  now.queues.resize(64);
  const auto whole = view(nullptr, now, 0, {100, 1000});
  const auto cut = view(nullptr, now, 0, {100, 20});
  ASSERT_EQ(cut.size(), 20U);
  EXPECT_EQ(cut.back(),
            "... " + std::to_string(whole.size() - 19) + " more lines: the terminal is too low");
}

TEST(View, shows_uploads_once_there_were_some) {
  ServerStatus now = running();
  EXPECT_EQ(line_of(view(nullptr, now, 0, {}), "uploads"), "");
  now.server.uploads_begun = 1;
  EXPECT_NE(line_of(view(nullptr, now, 0, {}), "uploads"), "");
}

TEST(Counts, have_three_digits) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(7), "7");
  EXPECT_EQ(format_count(0.5), "0.50");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(999.6), "1.00k");
  EXPECT_EQ(format_count(45'600'000), "45.6M");
  EXPECT_EQ(format_count(1.8e19), "18000P");
}

TEST(Durations, have_two_units) {
  EXPECT_EQ(format_duration(12), "12 s");
  EXPECT_EQ(format_duration(185), "3 m 05 s");
  EXPECT_EQ(format_duration(7620), "2 h 07 m");
  EXPECT_EQ(format_duration(443'000), "5 d 03 h");
}

cli::Parsed<Options> parse(const std::vector<std::string>& arguments) {
  return parse_options(arguments);
}

TEST(TopOptions, are_understood) {
  EXPECT_EQ(parse({})->socket_path, "/run/strictsend/stats.sock");
  EXPECT_EQ(parse({})->interval, 1s);
  const auto options = parse({"--socket", "a.sock", "--interval=500ms", "--once"});
  ASSERT_TRUE(options) << options.error();
  EXPECT_EQ(options->socket_path, "a.sock");
  EXPECT_EQ(options->interval, 500ms);
  EXPECT_TRUE(options->once);
}

TEST(TopOptions, a_mistake_is_named_with_its_option) {
  EXPECT_NE(parse({"--interval", "99ms"}).error().find("--interval: \"99ms\" is not from 100ms"),
            std::string::npos);
  EXPECT_NE(parse({"--interval", "soon"}).error().find("--interval"), std::string::npos);
  EXPECT_NE(parse({"--socket", ""}).error().find("--socket"), std::string::npos);
  EXPECT_NE(parse({"a.sock"}).error().find("--socket"), std::string::npos);
  EXPECT_NE(parse({"--colour"}).error().find("--colour"), std::string::npos);
}

TEST(TopOptions, help_needs_nothing_else_and_explains_every_option) {
  EXPECT_TRUE(parse({"--help"})->help);
  const std::string page(top_help());
  for (const std::string& name : option_names())
    EXPECT_NE(page.find("--" + name), std::string::npos) << name;
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = page.find('\n', begin)) != std::string::npos; begin = end + 1)
    EXPECT_LE(end - begin, 90U) << page.substr(begin, end - begin);
}

}  // namespace
}  // namespace strictsend::top
