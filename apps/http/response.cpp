// SPDX-License-Identifier: Apache-2.0
#include "apps/http/response.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "apps/http/date.hpp"

namespace strictsend::http {
namespace {

using Out = fmt::memory_buffer;

void put_start(Out& out, int status, std::int64_t now_unix_seconds) {
  fmt::format_to(fmt::appender(out), "HTTP/1.1 {} {}\r\nServer: strictsend\r\nDate: {}\r\n", status,
                 reason_phrase(status), format_date(now_unix_seconds));
}

void put_end(Out& out, Persistence persistence) {
  if (persistence == Persistence::close)
    fmt::format_to(fmt::appender(out), "Connection: close\r\n");
  if (persistence == Persistence::keep_and_say)
    fmt::format_to(fmt::appender(out), "Connection: keep-alive\r\n");
  fmt::format_to(fmt::appender(out), "\r\n");
}

/// Whole seconds, rounded down also before 1970.
std::int64_t seconds_of(std::int64_t ns) {
  constexpr std::int64_t ns_per_s = 1'000'000'000;
  return ns / ns_per_s - (ns % ns_per_s < 0 ? 1 : 0);
}

}  // namespace

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    default:
      return {};
  }
}

std::string file_head(const FileAttributes& attributes, std::string_view content_type,
                      std::int64_t now_unix_seconds, Persistence persistence) {
  Out out;
  put_start(out, 200, now_unix_seconds);
  // Not later than Date: a modification time in the future would make validators of other clocks
  // (RFC 9110 §8.8.2.1).
  const std::int64_t modified = std::min(seconds_of(attributes.mtime_ns), now_unix_seconds);
  fmt::format_to(fmt::appender(out),
                 "Content-Type: {}\r\nContent-Length: {}\r\nETag: \"{}\"\r\nLast-Modified: {}\r\n"
                 "X-Content-Type-Options: nosniff\r\n",
                 content_type, attributes.size_bytes, attributes.entity_tag, format_date(modified));
  put_end(out, persistence);
  return fmt::to_string(out);
}

std::string refusal_message(const Refusal& refusal, std::int64_t now_unix_seconds,
                            Persistence persistence, bool with_body) {
  const std::string body =
      fmt::format("{} {}\n{}\n", refusal.status, reason_phrase(refusal.status), refusal.sentence);
  Out out;
  put_start(out, refusal.status, now_unix_seconds);
  fmt::format_to(fmt::appender(out),
                 "Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n"
                 "X-Content-Type-Options: nosniff\r\n",
                 body.size());
  if (refusal.status == 405) fmt::format_to(fmt::appender(out), "Allow: GET, HEAD\r\n");
  if (refusal.retry_after_s)
    fmt::format_to(fmt::appender(out), "Retry-After: {}\r\n", *refusal.retry_after_s);
  put_end(out, persistence);
  std::string message = fmt::to_string(out);
  if (with_body) message += body;
  return message;
}

}  // namespace strictsend::http
