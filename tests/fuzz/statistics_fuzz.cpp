// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/statistics_fuzz.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "apps/serve/statistics/json_document.hpp"
#include "apps/serve/statistics/metrics_request.hpp"
#include "apps/serve/statistics/prometheus_text.hpp"
#include "apps/top/view.hpp"
#include "base/assert.hpp"

namespace strictsend::test {
namespace {

using namespace statistics;

void expect_to_fit(const std::vector<std::string>& lines, top::Size size) {
  STRICTSEND_ASSERT(lines.size() <= size.lines);
  for (const std::string& line : lines) {
    STRICTSEND_ASSERT(line.size() <= size.columns);
    STRICTSEND_ASSERT(
        std::all_of(line.begin(), line.end(), [](char c) { return c >= 0x20 && c < 0x7f; }));
  }
}

bool fuzz_document(std::string_view text, std::size_t shape) {
  const Result<ServerStatus> read = parse_document(text);
  if (!read) {
    STRICTSEND_ASSERT(read.error().errno_value != 0 && !read.error().hint.empty());
    STRICTSEND_ASSERT(read.error().message().size() < 1000);
    return false;
  }
  const std::string written = to_json(*read);
  const Result<ServerStatus> again = parse_document(written);
  STRICTSEND_ASSERT(again && to_json(*again) == written);
  STRICTSEND_ASSERT(to_prometheus(*again) == to_prometheus(*read));
  const top::Size size{shape % 16 * 10, shape / 16 * 4};
  expect_to_fit(top::view(nullptr, *read, 0, size), size);
  // The same numbers as another moment's, in both directions.
  ServerStatus other = *read;
  other.engine = {};
  other.queues.resize(other.queues.size() / 2);
  expect_to_fit(top::view(&other, *read, 1e-9, size), size);
  expect_to_fit(top::view(&*read, other, 1e9, size), size);
  return true;
}

/// The whole answer to bytes that come so many at a time; nothing: more of them are wanted.
std::optional<std::string> answer_to(std::string_view bytes, std::size_t piece) {
  MetricsRequest request;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    auto answer = request.take(
        bytes.substr(at, piece), [] { return std::string("text\n"); }, 784'111'777);
    if (answer) return answer;
  }
  return std::nullopt;
}

bool is_metrics(const std::optional<std::string>& answer) {
  if (!answer) return false;
  STRICTSEND_ASSERT(answer->starts_with("HTTP/1.1 "));
  STRICTSEND_ASSERT(answer->find("\r\nConnection: close\r\n") != std::string::npos);
  if (!answer->starts_with("HTTP/1.1 200 ")) return false;
  STRICTSEND_ASSERT(answer->ends_with("\r\n\r\ntext\n"));
  return true;
}

bool fuzz_request(std::string_view bytes, unsigned piece) {
  const std::optional<std::string> whole = answer_to(bytes, bytes.size() + 1);
  STRICTSEND_ASSERT(whole || bytes.size() < 2 * MetricsRequest::head_bytes_max ||
                    bytes.find_first_not_of("\r\n") == std::string_view::npos);
  // What is malformed may be seen sooner or later; what is right must not depend on it.
  const bool accepted = is_metrics(whole);
  STRICTSEND_ASSERT(accepted == is_metrics(answer_to(bytes, 1 + piece)));
  return accepted;
}

}  // namespace

bool fuzz_statistics(std::span<const std::byte> input) {
  if (input.empty()) return false;
  const auto choice = std::to_integer<unsigned>(input[0]);
  const std::span<const std::byte> bytes = input.subspan(1);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return choice % 2 == 0 ? fuzz_document(text, choice / 2) : fuzz_request(text, choice / 2);
}

}  // namespace strictsend::test

#ifdef STRICTSEND_LIBFUZZER
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  strictsend::test::fuzz_statistics(std::as_bytes(std::span(data, size)));
  return 0;
}
#endif
