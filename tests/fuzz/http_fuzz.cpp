// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/http_fuzz.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "apps/http/date.hpp"
#include "base/assert.hpp"
#include "tests/unit/http_support.hpp"

namespace strictsend::test {
namespace {

using namespace http;

/// Files that depend on the path alone, so that two runs can be compared.
class MadeUpFiles final : public FileRequests {
 public:
  void request_file(const std::string& path) override {
    STRICTSEND_ASSERT(wanted.empty());
    STRICTSEND_ASSERT(!path.empty() && path.front() != '/');
    STRICTSEND_ASSERT(path.find('\0') == std::string::npos);
    wanted.push_back(path);
  }
  Resolution resolve_one() {
    const std::string path = std::move(wanted.front());
    wanted.pop_front();
    switch (path.size() % 4) {
      case 0:
        return tl::unexpected(Refusal{404, "There is no such file."});
      case 1:
        return tl::unexpected(Refusal{503, "Later.", 1});
      case 2:
        return std::make_unique<MemoryRepresentation>(std::string(), 1);
      default:
        return std::make_unique<MemoryRepresentation>(path, 2);
    }
  }
  std::deque<std::string> wanted;
};

struct Talk {
  std::vector<int> statuses;
  bool last_one_closed = false;
};

constexpr std::size_t responses_max = 4;

class Play {
 public:
  Play() : session_(stream_, files_, &uploads_, clock_, limits()) {}

  /// All at once, or in pieces with other events between them.
  Talk run(std::string_view bytes, std::mt19937* random) {
    while (!bytes.empty() && random != nullptr) {
      const std::size_t piece = std::min<std::size_t>(bytes.size(), 1 + (*random)() % 40);
      deliver(bytes.substr(0, piece));
      bytes.remove_prefix(piece);
      disturb(*random);
    }
    deliver(bytes);
    stream_.next_outcome = SendOutcome::queued;
    session_.on_send_possible();
    settle();
    session_.on_peer_closed();
    settle();
    STRICTSEND_ASSERT(!session_.busy());
    STRICTSEND_ASSERT(stream_.closed || stream_.aborted);
    return read_back();
  }

 private:
  static SessionLimits limits() {
    SessionLimits limits;
    limits.head_bytes_max = 512;
    limits.responses_max = responses_max;
    limits.skipped_body_bytes_max = 64;
    limits.linger_bytes_max = 1024;
    limits.put_bytes_max = 40;
    return limits;
  }
  void deliver(std::string_view bytes) {
    stream_.incoming += bytes;
    session_.on_readable();
    check();
  }
  void resolve() {
    while (!files_.wanted.empty()) {
      session_.on_resolved(files_.resolve_one());
      check();
    }
  }
  void store() {
    while (!uploads_.wanted.empty()) {
      session_.on_upload(uploads_.take());
      check();
    }
  }
  void release() {
    --stream_.unreleased;
    session_.on_released();
    check();
  }
  void settle() {
    while (!files_.wanted.empty() || !uploads_.wanted.empty() || stream_.unreleased > 0) {
      resolve();
      store();
      if (stream_.unreleased > 0) release();
    }
  }
  /// Nothing here changes what is answered, only when.
  void disturb(std::mt19937& random) {
    switch (random() % 7) {
      case 0:
        resolve();
        break;
      case 6:
        store();
        break;
      case 1:
        if (stream_.unreleased > 0) release();
        break;
      case 2:
        stream_.next_outcome = SendOutcome::later;
        resolve();
        break;
      case 3:
        stream_.next_outcome = SendOutcome::queued;
        session_.on_send_possible();
        break;
      case 4:
        session_.on_tick();
        break;
      default:
        break;
    }
    check();
  }
  void check() {
    // An invitation to go on may be under way besides.
    STRICTSEND_ASSERT(stream_.unreleased <= responses_max + 1);
    STRICTSEND_ASSERT(uploads_.bytes.size() <= limits().put_bytes_max + 512);
    if (closed_at_ == 0 && stream_.closed) closed_at_ = stream_.statuses.size() + 1;
    STRICTSEND_ASSERT(closed_at_ == 0 || closed_at_ == stream_.statuses.size() + 1);
  }
  /// The responses as the client sees them. HEAD's cannot be told from what is sent alone, so the
  /// stream marks where each one ends.
  Talk read_back() {
    Talk talk;
    for (std::size_t i = 0; i < stream_.statuses.size(); ++i) {
      std::string message = stream_.messages[i];
      const std::size_t sent_bytes = message.size();
      const bool head_alone = message.find("\r\n\r\n") + 4 == message.size();
      const auto response = take_response(message, head_alone);
      STRICTSEND_ASSERT(response.has_value() && sent_bytes > 0 && message.empty());
      STRICTSEND_ASSERT(response->status == stream_.statuses[i]);
      if (response->status == 100) continue;  // whether it is sent is a matter of time
      STRICTSEND_ASSERT(!reason_phrase(response->status).empty());
      STRICTSEND_ASSERT(!talk.last_one_closed);
      const auto connection = response->fields.find("Connection");
      talk.last_one_closed = connection != response->fields.end() && connection->second == "close";
      talk.statuses.push_back(response->status);
    }
    return talk;
  }

  ManualClock clock_;
  MemoryStream stream_;
  MadeUpFiles files_;
  QueuedUploads uploads_;
  Session session_;
  std::size_t closed_at_ = 0;  // one more than the responses sent by then
};

constexpr std::int64_t now = 784'111'777;

void check_ranges(std::string_view bytes) {
  for (const std::uint64_t size : {0U, 1U, 100U}) {
    const RangeRequest request = understand_range(bytes, size);
    STRICTSEND_ASSERT((request.kind == RangeRequest::Kind::ranges) == !request.ranges.empty());
    STRICTSEND_ASSERT(request.ranges.size() <= ranges_max);
    std::uint64_t total = 0;
    for (const ByteRange& range : request.ranges) {
      STRICTSEND_ASSERT(range.begin < range.end && range.end <= size);
      total += range.length();
    }
    STRICTSEND_ASSERT(total <= size);
  }
}

void check_date(std::string_view bytes) {
  const auto date = parse_date(bytes, now);
  if (!date || *date < 0) return;
  STRICTSEND_ASSERT(parse_date(format_date(*date), now) == date);
}

/// A list that is longer names no less; what is named strongly is named weakly too.
void check_conditions(std::string_view bytes) {
  const Validators current{"tag", now};
  const auto verdict = [&](std::optional<std::string> Conditions::*field, std::string value) {
    Conditions conditions;
    conditions.*field = std::move(value);
    return evaluate(conditions, current, true, now);
  };
  const std::string value(bytes);
  if (verdict(&Conditions::if_match, value) == Verdict::perform) {
    STRICTSEND_ASSERT(verdict(&Conditions::if_none_match, value) == Verdict::not_modified);
    STRICTSEND_ASSERT(verdict(&Conditions::if_match, "\"tag\"," + value) == Verdict::perform);
  }
  static_cast<void>(verdict(&Conditions::if_modified_since, value));
  static_cast<void>(verdict(&Conditions::if_unmodified_since, value));
}

void check_target(std::string_view bytes) {
  static_cast<void>(is_host(bytes));
  const auto path = path_of_target(bytes);
  if (!path) return;
  STRICTSEND_ASSERT(*path == "./" || ("/" + *path + "/").find("/./") == std::string::npos);
  STRICTSEND_ASSERT(("/" + *path + "/").find("/../") == std::string::npos);
  STRICTSEND_ASSERT(path_of_target("/" + percent_encoded(*path)).value() == *path);
}

/// Without a last answer to an unreadable request: where a head is malformed or a body too long,
/// the parser may see it at once, or only when more has come, which cut-off input never shows.
std::vector<int> comparable(Talk talk) {
  constexpr std::array unreadable{400, 413, 414, 431, 505};
  if (talk.last_one_closed &&
      std::find(unreadable.begin(), unreadable.end(), talk.statuses.back()) != unreadable.end())
    talk.statuses.pop_back();
  return talk.statuses;
}

}  // namespace

HttpFuzzResult fuzz_http(std::span<const std::byte> input) {
  if (input.empty()) return {};
  const std::string_view bytes(reinterpret_cast<const char*>(input.data()) + 1, input.size() - 1);
  check_ranges(bytes);
  check_date(bytes);
  check_conditions(bytes);
  check_target(bytes);
  const Talk whole = Play().run(bytes, nullptr);
  std::mt19937 random(std::to_integer<unsigned>(input[0]));
  const Talk pieces = Play().run(bytes, &random);
  STRICTSEND_ASSERT(comparable(whole) == comparable(pieces));
  return {whole.statuses.size(),
          static_cast<std::size_t>(std::count(whole.statuses.begin(), whole.statuses.end(), 200))};
}

}  // namespace strictsend::test

#ifdef STRICTSEND_LIBFUZZER
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t bytes) {
  strictsend::test::fuzz_http(std::as_bytes(std::span(data, bytes)));
  return 0;
}
#endif
