// SPDX-License-Identifier: Apache-2.0
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/fuzz/http_fuzz.hpp"
#include "tests/fuzz/smoke.hpp"

namespace strictsend::test {
namespace {

HttpFuzzResult play(const std::string& input) {
  return fuzz_http(std::as_bytes(std::span(input)));
}

/// A piece of what clients send, right or nearly so.
std::string piece(std::mt19937& random) {
  static const std::vector<std::string> pieces{
      "GET ",
      "HEAD ",
      "POST ",
      "/",
      "/abc",
      "/a%20b",
      "/%",
      "/%00",
      "/../x",
      "http://h/abc",
      " HTTP/1.1\r\n",
      " HTTP/1.0\r\n",
      "Host: a\r\n",
      "Connection: close\r\n",
      "Connection: keep-alive\r\n",
      "Content-Length: 5\r\n",
      "Content-Length: 70\r\n",
      "Transfer-Encoding: chunked\r\n",
      "Expect: 100-continue\r\n",
      "X: y\r\n",
      "Range: bytes=0-1\r\n",
      "Range: bytes=0-0,-1\r\n",
      "Range: bytes=0-0,1-",
      "Range: bytes=9-\r\n",
      "If-Range: \"tag3\"\r\n",
      "If-Range: W/\"tag3\"\r\n",
      "If-Match: \"tag3\"\r\n",
      "If-None-Match: *\r\n",
      "If-None-Match: \"tag0\", W/\"tag3\"\r\n",
      "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
      "If-Unmodified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n",
      "If-Modified-Since: Sun Nov  6 08:49:37 1994\r\n",
      "5\r\nhello\r\n",
      "0\r\n\r\n",
      "Expect: more\r\n",
      "PUT /abc HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
      "PUT /abc HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
      "PUT /abc HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
      "\r\n",
      "\n",
      "hello",
      "GET /abc HTTP/1.1\r\nHost: a\r\n\r\n",
      "HEAD /abc HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /ab HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
      "GET /abc HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
      "PUT /x HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /abcd HTTP/1.1\r\nHost: a\r\nX: " + std::string(600, 'x') + "\r\n\r\n",
  };
  return pieces[random() % pieces.size()];
}

TEST(HttpFuzz, sentences_of_http_break_no_promise) {
  std::mt19937 random(1);
  std::size_t responses = 0;
  std::size_t files = 0;
  for (int round = 0; round < 8'000; ++round) {
    std::string input(1, static_cast<char>(random()));
    for (auto pieces = 1 + random() % 16; pieces > 0; --pieces)
      input += piece(random);
    const HttpFuzzResult result = play(input);
    responses += result.responses;
    files += result.files;
  }
  // It gets through to files, and not always.
  EXPECT_GT(files, 500U);
  EXPECT_GT(responses, files + 1'000U);
}

TEST(HttpFuzz, mutations_of_good_requests_break_no_promise) {
  const std::string good =
      "GET /abc HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
      "HEAD /abcdefg?q HTTP/1.1\r\nHost: a\r\n\r\n"
      "GET /a%62c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  std::mt19937 random(2);
  std::size_t files = 0;
  for (int round = 0; round < 5'000; ++round) {
    std::string input = static_cast<char>(random()) + good;
    for (auto changes = 1 + random() % 3; changes > 0; --changes) {
      const std::size_t at = random() % input.size();
      if (random() % 3 == 0)
        input.erase(at, 1 + random() % 4);
      else if (random() % 2 == 0)
        input[at] = static_cast<char>(random());
      else
        input.insert(at, 1, "\r\n %:/\0"[random() % 7]);
    }
    files += play(input).files;
  }
  EXPECT_GT(files, 1'000U);
}

/// Field values and targets with one or two bytes wrong: the deeper half of their grammar.
TEST(HttpFuzz, mutations_of_field_values_break_no_promise) {
  const std::vector<std::string> good{
      "bytes=0-0,5-9,-1",
      "bytes=10-",
      "Sun, 06 Nov 1994 08:49:37 GMT",
      "Sunday, 06-Nov-94 08:49:37 GMT",
      "Sun Nov  6 08:49:37 1994",
      "\"a\", W/\"tag\", \"tag\"",
      "/a/../b/%2e%2E/./c//d?e",
      "http://host:80/a/..",
      "[::1]:80",
  };
  std::mt19937 random(4);
  for (int round = 0; round < 5'000; ++round) {
    std::string value = good[random() % good.size()];
    for (auto changes = 1 + random() % 2; changes > 0 && !value.empty(); --changes) {
      const std::size_t at = random() % value.size();
      if (random() % 2 == 0)
        value[at] = "0123456789-,\"*/.% W"[random() % 19];
      else
        value.insert(at, 1, "0123456789-,\"*/.% W"[random() % 19]);
    }
    play(static_cast<char>(random()) + value);
    play(static_cast<char>(random()) + ("GET /abc HTTP/1.1\r\nHost: a\r\nRange: " + value +
                                        "\r\nIf-Range: " + value + "\r\n\r\n"));
  }
}

TEST(HttpFuzz, the_corpus_breaks_no_promise) {
  std::size_t responses = 0;
  const std::size_t files = run_corpus(
      FUZZ_CORPUS "/http", [&](const auto& bytes) { responses += fuzz_http(bytes).responses; });
  EXPECT_GT(files, 10U);
  EXPECT_GT(responses, files / 2);
}

TEST(HttpFuzz, noise_gets_no_file) {
  std::mt19937 random(3);
  for (int round = 0; round < 2'000; ++round) {
    std::string input(random() % 2000, '\0');
    for (char& byte : input)
      byte = static_cast<char>(random());
    EXPECT_EQ(play(input).files, 0U) << "round " << round;
  }
}

}  // namespace
}  // namespace strictsend::test
