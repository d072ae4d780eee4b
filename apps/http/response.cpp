// SPDX-License-Identifier: Apache-2.0
#include "apps/http/response.hpp"

#include <atomic>
#include <iterator>
#include <random>

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

void put_validators(Out& out, const FileAttributes& attributes, std::int64_t now_unix_seconds) {
  fmt::format_to(fmt::appender(out), "ETag: \"{}\"\r\nLast-Modified: {}\r\n", attributes.entity_tag,
                 format_date(last_modified(attributes, now_unix_seconds)));
}

void put_content(Out& out, std::string_view type, std::uint64_t length) {
  fmt::format_to(fmt::appender(out),
                 "Content-Type: {}\r\nContent-Length: {}\r\nX-Content-Type-Options: nosniff\r\n",
                 type, length);
}

std::string content_range(const ByteRange& range, std::uint64_t size_bytes) {
  return fmt::format("Content-Range: bytes {}-{}/{}\r\n", range.begin, range.end - 1, size_bytes);
}

/// Several ranges: each behind a boundary and a head of its own.
std::vector<Piece> multipart_response(const Answer& answer, const Representation& representation,
                                      const Wording& wording) {
  const FileAttributes& attributes = representation.attributes();
  const std::string boundary = fresh_boundary();
  std::vector<Piece> pieces;
  std::uint64_t length = 0;
  for (const ByteRange& range : answer.ranges) {
    pieces.push_back(
        {fmt::format("\r\n--{}\r\nContent-Type: {}\r\n{}\r\n", boundary,
                     representation.media_type(), content_range(range, attributes.size_bytes)),
         range});
    length += pieces.back().text.size() + range.length();
  }
  pieces.push_back({fmt::format("\r\n--{}--\r\n", boundary), {}});
  length += pieces.back().text.size();

  Out out;
  put_start(out, answer.status, wording.now_unix_seconds);
  put_content(out, "multipart/byteranges; boundary=" + boundary, length);
  put_validators(out, attributes, wording.now_unix_seconds);
  put_end(out, wording.persistence);
  pieces.front().text.insert(0, fmt::to_string(out));
  return pieces;
}

}  // namespace

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 304:
      return "Not Modified";
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
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return {};
  }
}

std::vector<Piece> file_response(const Answer& answer, const Representation& representation,
                                 const Wording& wording) {
  if (answer.ranges.size() > 1) return multipart_response(answer, representation, wording);
  const FileAttributes& attributes = representation.attributes();
  const ByteRange range =
      answer.ranges.empty() ? ByteRange{0, attributes.size_bytes} : answer.ranges.front();
  const bool content = answer.status != 304;
  Out out;
  put_start(out, answer.status, wording.now_unix_seconds);
  if (content) put_content(out, representation.media_type(), range.length());
  put_validators(out, attributes, wording.now_unix_seconds);
  if (answer.status == 206)
    fmt::format_to(fmt::appender(out), "{}", content_range(range, attributes.size_bytes));
  if (answer.status == 200) fmt::format_to(fmt::appender(out), "Accept-Ranges: bytes\r\n");
  put_end(out, wording.persistence);
  return {{fmt::to_string(out), content && wording.with_body ? range : ByteRange{}}};
}

std::vector<Piece> page_response(const Representation& page, const Wording& wording) {
  Out out;
  put_start(out, 200, wording.now_unix_seconds);
  put_content(out, page.media_type(), page.page()->size());
  put_end(out, wording.persistence);
  std::string text = fmt::to_string(out);
  if (wording.with_body) text += *page.page();
  return {{std::move(text), {}}};
}

std::string stored_head(int status, const Wording& wording) {
  Out out;
  put_start(out, status, wording.now_unix_seconds);
  // RFC 9110 §8.6: 204 has none.
  if (status != 204) fmt::format_to(fmt::appender(out), "Content-Length: 0\r\n");
  put_end(out, wording.persistence);
  return fmt::to_string(out);
}

std::string refusal_message(const Refusal& refusal, const Wording& wording,
                            std::string_view allowed) {
  const std::string body =
      fmt::format("{} {}\n{}\n", refusal.status, reason_phrase(refusal.status), refusal.sentence);
  Out out;
  put_start(out, refusal.status, wording.now_unix_seconds);
  put_content(out, "text/plain; charset=utf-8", body.size());
  if (refusal.status == 405) fmt::format_to(fmt::appender(out), "Allow: {}\r\n", allowed);
  if (refusal.retry_after_s)
    fmt::format_to(fmt::appender(out), "Retry-After: {}\r\n", *refusal.retry_after_s);
  if (refusal.complete_length)
    fmt::format_to(fmt::appender(out), "Content-Range: bytes */{}\r\n", *refusal.complete_length);
  if (!refusal.location.empty())
    fmt::format_to(fmt::appender(out), "Location: {}\r\n", refusal.location);
  put_end(out, wording.persistence);
  std::string message = fmt::to_string(out);
  if (wording.with_body) message += body;
  return message;
}

std::string fresh_boundary() {
  static std::atomic<std::uint64_t> next{[] {
    std::random_device random;
    return std::uint64_t{random()} << 32 | random();
  }()};
  return fmt::format("{:020}", next.fetch_add(1, std::memory_order_relaxed));
}

}  // namespace strictsend::http
