// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/conformance_fuzz.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string_view>

#include "apps/conformance/messages.hpp"
#include "base/assert.hpp"

namespace strictsend::test {
namespace {

using namespace conformance;

void expect_explained(const Error& error) {
  STRICTSEND_ASSERT(error.errno_value != 0 && !error.hint.empty());
  STRICTSEND_ASSERT(error.message().size() < 1000);
}

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

bool fuzz_plan(std::string_view text) {
  const Result<Plan> plan = parse_plan(text);
  if (!plan) {
    expect_explained(plan.error());
    return false;
  }
  const Result<Plan> again = parse_plan(to_json(*plan));
  STRICTSEND_ASSERT(again && again->finished == plan->finished);
  if (plan->finished) return true;
  const checker::Layout::Parameters& layout = plan->layout;
  STRICTSEND_ASSERT(layout.file_bytes > 0 && layout.file_bytes <= file_bytes_max);
  STRICTSEND_ASSERT(layout.writers > 0 && layout.writers <= writers_max);
  STRICTSEND_ASSERT(plan->downloads > 0 && plan->downloads <= downloads_max);
  STRICTSEND_ASSERT(plan->parallel > 0 && plan->parallel <= parallel_max);
  STRICTSEND_ASSERT(checker::Layout::create(layout));
  STRICTSEND_ASSERT(download_seconds_max(layout.file_bytes, plan->parallel) <= 86'400);
  STRICTSEND_ASSERT(!plan->directory.empty() && printable(plan->directory));
  STRICTSEND_ASSERT(plan->directory.find_first_of("/?#%.") == std::string::npos);
  STRICTSEND_ASSERT(!plan->case_name.empty() && printable(plan->case_name));
  STRICTSEND_ASSERT(again->directory == plan->directory && again->case_name == plan->case_name);
  STRICTSEND_ASSERT(again->layout.file_bytes == layout.file_bytes &&
                    again->layout.writers == layout.writers && again->layout.seed == layout.seed);
  STRICTSEND_ASSERT(again->downloads == plan->downloads && again->parallel == plan->parallel);
  return true;
}

bool fuzz_submits(std::string_view text, std::uint32_t downloads) {
  const auto submits = parse_submits(text, downloads);
  if (!submits) {
    expect_explained(submits.error());
    return false;
  }
  STRICTSEND_ASSERT(submits->size() == downloads);
  for (const SubmitInterval& submit : *submits)
    STRICTSEND_ASSERT(submit.begin_ns >= 0 && submit.begin_ns <= submit.return_ns);
  STRICTSEND_ASSERT(parse_submits(to_json(*submits), downloads));
  return true;
}

bool fuzz_log(std::span<const std::byte> bytes) {
  const auto log = parse_log(bytes);
  if (!log) {
    expect_explained(log.error());
    return false;
  }
  // Memory is bounded by what was received, and so are the writes that are replayed.
  STRICTSEND_ASSERT(log->stamps_ns().size_bytes() <= bytes.size());
  STRICTSEND_ASSERT(log->writes() <= log->stamps_ns().size() * checker::WriteLog::batch_writes);
  STRICTSEND_ASSERT(log->longest_batch_ns() >= 0);
  std::uint64_t ended = 0;
  std::uint64_t begun = 0;
  for (const std::int64_t at : {std::int64_t{0}, log->end_ns() / 2, log->end_ns(),
                                std::numeric_limits<std::int64_t>::max()}) {
    const std::uint64_t ended_now = log->certainly_ended_before(at);
    const std::uint64_t begun_now = log->possibly_begun_by(at);
    STRICTSEND_ASSERT(ended <= ended_now && begun <= begun_now);
    STRICTSEND_ASSERT(ended_now <= begun_now && begun_now <= log->writes());
    ended = ended_now;
    begun = begun_now;
  }
  STRICTSEND_ASSERT(std::ranges::equal(to_bytes(*log), bytes));
  return true;
}

bool fuzz_verdict(std::string_view query) {
  const auto verdict = parse_verdict(query);
  if (!verdict) {
    expect_explained(verdict.error());
    return false;
  }
  STRICTSEND_ASSERT(verdict->strict <= downloads_max && verdict->torn <= downloads_max);
  STRICTSEND_ASSERT(printable(verdict->first) && printable(verdict->failure));
  const std::string written = to_query(*verdict);
  STRICTSEND_ASSERT(written.size() < 4000);  // far below what a request's head may have
  const auto again = parse_verdict(written);
  STRICTSEND_ASSERT(again && again->strict == verdict->strict && again->torn == verdict->torn);
  STRICTSEND_ASSERT(again->wrong_pages == verdict->wrong_pages);
  STRICTSEND_ASSERT(again->first == verdict->first && again->failure == verdict->failure);
  return true;
}

}  // namespace

bool fuzz_conformance(std::span<const std::byte> input) {
  if (input.empty()) return false;
  const auto choice = std::to_integer<unsigned>(input[0]);
  const std::span<const std::byte> bytes = input.subspan(1);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  switch (choice % 4) {
    case 0:
      return fuzz_plan(text);
    case 1:
      return fuzz_submits(text, 1 + choice / 4 % 4);
    case 2:
      return fuzz_log(bytes);
    default:
      return fuzz_verdict(text);
  }
}

}  // namespace strictsend::test

#ifdef STRICTSEND_LIBFUZZER
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  strictsend::test::fuzz_conformance(std::as_bytes(std::span(data, size)));
  return 0;
}
#endif
