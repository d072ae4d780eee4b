// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "apps/conformance/messages.hpp"
#include "tests/fuzz/conformance_fuzz.hpp"

namespace strictsend::test {
namespace {

using namespace conformance;

bool accepts(const std::string& input) {
  return fuzz_conformance(std::as_bytes(std::span(input)));
}

/// Good messages, each behind the byte that chooses its parser.
std::array<std::string, 4> good_messages() {
  Plan plan;
  plan.case_name = "fragments";
  plan.layout = {.file_bytes = 16 << 20, .writers = 3, .seed = 7};
  plan.downloads = 8;
  plan.parallel = 4;
  plan.directory = "93c1f80a-2";
  checker::WriteLog log(64);
  for (std::int64_t stamp = 10; stamp <= 40; stamp += 10)
    log.begin_batch(stamp);
  log.finish(5, 50);
  const std::vector<std::byte> log_bytes = to_bytes(log);
  CaseVerdict verdict;
  verdict.strict = 6;
  verdict.torn = 2;
  verdict.first = "download 3, at offset 8: 100%";
  verdict.failure = "none";
  return {std::string(1, '\0') + to_json(plan),
          std::string(1, '\5') + to_json(std::vector<SubmitInterval>{{1, 2}, {3, 4}}),
          std::string(1, '\2') +
              std::string(reinterpret_cast<const char*>(log_bytes.data()), log_bytes.size()),
          std::string(1, '\3') + to_query(verdict)};
}

/// One change of the kinds that a fuzzer makes.
void mutate(std::string& input, std::mt19937& random) {
  const std::size_t at = 1 + random() % input.size();
  switch (random() % 6) {
    case 0:
      if (at < input.size()) input[at] = static_cast<char>(random());
      break;
    case 1:
      if (at < input.size()) input[at] = "0129-+.eE\"{}[],:&=%?"[random() % 20];
      break;
    case 2:
      if (at < input.size()) input.erase(at, 1 + random() % 4);
      break;
    case 3:
      input.insert(at, 1 + random() % 20, "09[{ &%"[random() % 7]);
      break;
    case 4:
      input.insert(at, input.substr(1, random() % 64));
      break;
    default:
      if (at < input.size()) input[at] = static_cast<char>(input[at] + 1);
      break;
  }
}

TEST(ConformanceFuzz, good_messages_are_accepted) {
  for (const std::string& message : good_messages())
    EXPECT_TRUE(accepts(message)) << message;
}

TEST(ConformanceFuzz, mutations_of_good_messages_break_no_promise) {
  const auto seeds = good_messages();
  std::mt19937 random(1);
  std::array<int, 4> accepted{};
  constexpr int rounds = 40'000;
  for (int round = 0; round < rounds; ++round) {
    const std::size_t which = random() % seeds.size();
    std::string input = seeds[which];
    for (auto changes = random() % 4; changes > 0; --changes)
      mutate(input, random);
    if (accepts(input)) ++accepted[which];
  }
  // Neither everything nor nothing: the mutations reach both sides of the checks.
  for (const int count : accepted) {
    EXPECT_GT(count, rounds / 4 / 20);
    EXPECT_LT(count, rounds / 4 * 19 / 20);
  }
}

TEST(ConformanceFuzz, noise_is_refused) {
  std::mt19937 random(2);
  for (int round = 0; round < 20'000; ++round) {
    std::string input(random() % 120, '\0');
    for (char& byte : input)
      byte = static_cast<char>(random());
    EXPECT_FALSE(accepts(input)) << "round " << round;
  }
}

TEST(ConformanceFuzz, the_longest_messages_are_read_in_one_go) {
  // Nesting, members and list items: what a slow parser would choke on.
  for (const char* piece : {"[", "{\"a\":", "[{},", "\"", "\\u0000", "{\"a\":1},", "1,"}) {
    std::string text;
    while (text.size() < submits_bytes_max)
      text += piece;
    EXPECT_FALSE(accepts('\0' + text));
    EXPECT_FALSE(accepts('\1' + text));
    EXPECT_FALSE(accepts("\1{\"protocol\":1,\"submits\":" + text));
  }
  std::string query = "\3?strict=1&torn=0";
  while (query.size() < submits_bytes_max)
    query += "&first=%41%%";
  EXPECT_TRUE(accepts(query));
}

}  // namespace
}  // namespace strictsend::test
