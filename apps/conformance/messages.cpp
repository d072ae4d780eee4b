// SPDX-License-Identifier: Apache-2.0
#include "apps/conformance/messages.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>

#include <fmt/format.h>

namespace strictsend::conformance {
namespace {

constexpr std::string_view log_magic = "SSWLOG01";
constexpr std::size_t log_head_bytes = 32;
/// Of a text in a query; with three bytes for one it stays far below what a head may have.
constexpr std::size_t text_bytes_max = 600;

static_assert(std::endian::native == std::endian::little, "the log is written as it is in memory");

template <class T>
T word_at(std::span<const std::byte> bytes, std::size_t offset) {
  T word{};
  std::memcpy(&word, bytes.data() + offset, sizeof word);
  return word;
}

bool needs_no_escape(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_';
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, text_bytes_max)) {
    if (needs_no_escape(c))
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

/// What a terminal can be shown of it: a peer's text may hold anything.
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size() && out.size() < text_bytes_max; ++i) {
    unsigned value = static_cast<unsigned char>(text[i]);
    if (text[i] == '%' && i + 2 < text.size()) {
      const char* const digits = text.data() + i + 1;
      if (std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2) i += 2;
    }
    out += value >= 0x20 && value < 0x7f ? static_cast<char>(value) : '?';
  }
  return out;
}

template <class T>
bool parse_into(std::string_view text, T most, T& value) {
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  return error == std::errc{} && rest == end && value <= most;
}

}  // namespace

std::vector<std::byte> to_bytes(const checker::WriteLog& log) {
  const std::span<const std::int64_t> stamps = log.stamps_ns();
  std::vector<std::byte> bytes(log_head_bytes + stamps.size_bytes());
  const std::uint64_t writes = log.writes();
  const std::int64_t end_ns = log.end_ns();
  const std::uint64_t count = stamps.size();
  std::memcpy(bytes.data(), log_magic.data(), 8);
  std::memcpy(bytes.data() + 8, &writes, 8);
  std::memcpy(bytes.data() + 16, &end_ns, 8);
  std::memcpy(bytes.data() + 24, &count, 8);
  if (!stamps.empty())
    std::memcpy(bytes.data() + log_head_bytes, stamps.data(), stamps.size_bytes());
  return bytes;
}

Result<checker::WriteLog> parse_log(std::span<const std::byte> bytes) {
  const auto refuse = [](const char* what) {
    return fail(
        "reading a write log of the sender", EPROTO,
        std::string(what) + "; both ends must run the same version of strictsend conformance");
  };
  if (bytes.size() < log_head_bytes || std::memcmp(bytes.data(), log_magic.data(), 8) != 0)
    return refuse("it does not begin like one");
  const auto writes = word_at<std::uint64_t>(bytes, 8);
  const auto end_ns = word_at<std::int64_t>(bytes, 16);
  const auto count = word_at<std::uint64_t>(bytes, 24);
  if (bytes.size() > log_bytes_max || (bytes.size() - log_head_bytes) % 8 != 0 ||
      (bytes.size() - log_head_bytes) / 8 != count)
    return refuse("it is shorter or longer than it says");
  std::vector<std::int64_t> stamps_ns(count);
  if (count > 0)
    std::memcpy(stamps_ns.data(), bytes.data() + log_head_bytes, bytes.size() - log_head_bytes);
  return checker::WriteLog::restore(std::move(stamps_ns), writes, end_ns);
}

std::string to_query(const CaseVerdict& verdict) {
  std::string query = fmt::format("?strict={}&torn={}&wrong_pages={}", verdict.strict, verdict.torn,
                                  verdict.wrong_pages);
  if (!verdict.first.empty()) query += "&first=" + escaped(verdict.first);
  if (!verdict.failure.empty()) query += "&failure=" + escaped(verdict.failure);
  return query;
}

Result<CaseVerdict> parse_verdict(std::string_view query) {
  const auto refuse = [&] {
    return fail("reading the receiver's verdict", EPROTO,
                "both ends must run the same version of strictsend conformance");
  };
  if (!query.starts_with('?')) return refuse();
  query.remove_prefix(1);
  CaseVerdict verdict;
  bool strict = false;
  bool torn = false;
  while (!query.empty()) {
    const std::string_view item = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(item.size() + 1, query.size()));
    const std::size_t equals = item.find('=');
    if (equals == std::string_view::npos) return refuse();
    const std::string_view key = item.substr(0, equals);
    const std::string_view value = item.substr(equals + 1);
    bool good = true;
    if (key == "strict")
      good = strict = parse_into(value, downloads_max, verdict.strict);
    else if (key == "torn")
      good = torn = parse_into(value, downloads_max, verdict.torn);
    else if (key == "wrong_pages")
      good = parse_into(value, std::numeric_limits<std::uint64_t>::max(), verdict.wrong_pages);
    else if (key == "first")
      verdict.first = unescaped(value);
    else if (key == "failure")
      verdict.failure = unescaped(value);
    else
      good = false;
    if (!good) return refuse();
  }
  if (!strict || !torn) return refuse();
  return verdict;
}

std::uint32_t download_seconds_max(std::uint64_t file_bytes, std::uint32_t parallel) {
  constexpr std::uint64_t bytes_a_second = 2'000'000;  // of all of them together
  constexpr std::uint64_t seconds_more = 30;           // retransmission time-outs, slow starts
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(file_bytes * parallel / bytes_a_second + seconds_more, 86'400));
}

}  // namespace strictsend::conformance
