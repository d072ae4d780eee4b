// SPDX-License-Identifier: Apache-2.0
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "apps/serve/statistics/json_document.hpp"
#include "tests/fuzz/smoke.hpp"
#include "tests/fuzz/statistics_fuzz.hpp"

namespace strictsend::test {
namespace {

bool statistics_accept(const std::string& input) {
  return fuzz_statistics(std::as_bytes(std::span(input)));
}

std::string good_document() {
  statistics::ServerStatus status;
  status.version = "0.1.0";
  status.port.spec = "af_xdp:eth0";
  status.process.uptime_ns = 12'345;
  status.engine.payload_bytes_sent = ~std::uint64_t{0};
  status.queues.resize(2);
  return std::string(1, '\xaa') + statistics::to_json(status);
}

std::string good_metrics_request() {
  return "\7GET /metrics HTTP/1.1\r\nHost: localhost:9100\r\nAccept: text/plain\r\n\r\n";
}

/// One change of the kinds that a fuzzer makes.
void change_once(std::string& input, std::mt19937& random) {
  const std::size_t at = 1 + random() % (input.size() - 1);
  switch (random() % 5) {
    case 0:
      input[at] = static_cast<char>(random());
      break;
    case 1:
      input[at] = "0129-.e\"{}[],: \r\n/H"[random() % 19];
      break;
    case 2:
      input.erase(at, 1 + random() % 4);
      break;
    case 3:
      input.insert(at, input.substr(1, random() % 64));
      break;
    default:
      input.insert(at, 1 + random() % 20, "09[{ &%"[random() % 7]);
      break;
  }
}

TEST(StatisticsFuzz, what_is_good_is_accepted) {
  EXPECT_TRUE(statistics_accept(good_document()));
  EXPECT_TRUE(statistics_accept(good_metrics_request()));
}

TEST(StatisticsFuzz, mutations_of_what_is_good_break_no_promise) {
  std::mt19937 random(1);
  int accepted = 0;
  constexpr int rounds = 1'000;
  for (int round = 0; round < rounds; ++round) {
    std::string input = round % 4 == 0 ? good_document() : good_metrics_request();
    input[0] = static_cast<char>((random() & 0xfeU) | (static_cast<unsigned char>(input[0]) & 1U));
    for (auto changes = random() % 4; changes > 0 && input.size() > 8; --changes)
      change_once(input, random);
    if (statistics_accept(input)) ++accepted;
  }
  EXPECT_GT(accepted, rounds / 20);
  EXPECT_LT(accepted, rounds * 19 / 20);
}

TEST(StatisticsFuzz, noise_is_refused) {
  bool any = false;
  run_generated(20'000, 300, [&any](const auto& bytes) { any = any || fuzz_statistics(bytes); });
  EXPECT_FALSE(any);
}

TEST(StatisticsFuzz, the_longest_documents_are_read_in_one_go) {
  // Nesting, members and list items: what a slow parser would choke on.
  for (const char* piece : {"[", "{\"a\":", "[{},", "\"", "{\"a\":1},", "1,"}) {
    std::string text = "\2{\"version\":1,\"queues\":[";
    while (text.size() < (1U << 18))
      text += piece;
    EXPECT_FALSE(statistics_accept(text));
  }
  std::string many_members = "\2{\"version\":1";
  for (int i = 0; i < 20'000; ++i)
    many_members += ",\"a" + std::to_string(i) + "\":1";
  EXPECT_TRUE(statistics_accept(many_members + "}"));
}

}  // namespace
}  // namespace strictsend::test
