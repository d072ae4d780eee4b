// SPDX-License-Identifier: Apache-2.0
// The one file that knows Boost.Beast.
#include "apps/http/request_parser.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

// Under the sanitizers gcc 12 takes an empty boost::optional in Beast's parser for one that is
// read.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/rfc7230.hpp>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

namespace strictsend::http {

namespace beast = boost::beast;
using BeastParser = beast::http::request_parser<beast::http::buffer_body>;

struct RequestParser::Impl {
  // Beast's parser serves one message; it is made anew for each, and gone once nothing of that is
  // left to be parsed.
  std::optional<BeastParser> parser;
};

RequestParser::RequestParser(std::size_t head_bytes_max)
    : impl_(std::make_unique<Impl>()), head_bytes_max_(head_bytes_max) {
  reset();
}

RequestParser::~RequestParser() = default;

void RequestParser::reset() {
  impl_->parser.emplace();
  // Not eager: it stops at the end of the head, whatever body is announced. Its own limit on the
  // head counts only from the last byte consumed, so `parse` counts as well.
  impl_->parser->eager(false);
  impl_->parser->header_limit(static_cast<std::uint32_t>(
      std::min<std::size_t>(head_bytes_max_, std::numeric_limits<std::uint32_t>::max())));
  impl_->parser->body_limit(std::numeric_limits<std::uint64_t>::max());
  request_ = Request{};
  complaint_.clear();
  head_bytes_ = 0;
  head_lines_ = 0;
}

namespace {

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

using Field = beast::http::field;

/// The field's value; of one that came in several lines all of them (RFC 9110 §5.3).
std::optional<std::string> joined(const beast::http::fields& fields, Field name) {
  std::optional<std::string> value;
  const auto [first, last] = fields.equal_range(name);
  for (auto line = first; line != last; ++line) {
    if (value)
      *value += ", ";
    else
      value.emplace();
    *value += view(line->value());
  }
  return value;
}

Method method_of(beast::http::verb verb) {
  switch (verb) {
    case beast::http::verb::get:
      return Method::get;
    case beast::http::verb::head:
      return Method::head;
    case beast::http::verb::put:
      return Method::put;
    default:
      return Method::other;
  }
}

Conditions conditions_of(const beast::http::fields& fields) {
  Conditions conditions;
  conditions.if_match = joined(fields, Field::if_match);
  conditions.if_none_match = joined(fields, Field::if_none_match);
  conditions.if_modified_since = joined(fields, Field::if_modified_since);
  conditions.if_unmodified_since = joined(fields, Field::if_unmodified_since);
  conditions.if_range = joined(fields, Field::if_range);
  return conditions;
}

Request summary_of(const BeastParser& parser) {
  const auto& message = parser.get();
  Request request;
  request.method_name = view(message.method_string());
  // Method names are case-sensitive (RFC 9110 §9.1), so Beast's look-up is exact.
  request.method = method_of(message.method());
  request.target = view(message.target());
  request.minor_version = static_cast<int>(message.version() % 10);
  request.keep_alive = parser.keep_alive();
  request.host_fields = message.count(Field::host);
  request.host = view(message[Field::host]);
  if (message.count(Field::expect) > 0)
    request.expectation = beast::iequals(message[Field::expect], "100-continue")
                              ? Expectation::continue_100
                              : Expectation::unknown;
  request.conditions = conditions_of(message);
  request.range = joined(message, Field::range);
  request.has_content_range = message.count(Field::content_range) > 0;
  request.referer = view(message[Field::referer]);
  request.user_agent = view(message[Field::user_agent]);
  request.body_is_chunked = parser.chunked();
  request.body_is_coded = !request.body_is_chunked && message.count(Field::transfer_encoding) > 0;
  if (const auto length = parser.content_length()) request.body_bytes = *length;
  return request;
}

std::string complaint_about(const beast::error_code& code) {
  using beast::http::error;
  if (code == error::bad_method) return "The request line does not begin with a method.";
  if (code == error::bad_target) return "The request line has no valid target.";
  if (code == error::bad_version) return "The request line does not end in HTTP/1.0 or HTTP/1.1.";
  if (code == error::bad_content_length)
    return "The Content-Length field is not one number, or stands beside a Transfer-Encoding.";
  if (code == error::bad_transfer_encoding)
    return "The Transfer-Encoding field is given twice or stands beside a Content-Length.";
  return "A header field of the request is malformed.";
}

/// Whether the first line ends in a version of HTTP, which then is not one of ours.
bool has_other_version(std::string_view bytes) {
  constexpr std::string_view pattern = " HTTP/d.d\r";
  const std::string_view line = bytes.substr(0, bytes.find('\n'));
  if (line.size() < pattern.size()) return false;
  const std::string_view end = line.substr(line.size() - pattern.size());
  return std::equal(end.begin(), end.end(), pattern.begin(), [](char c, char wanted) {
    return wanted == 'd' ? c >= '0' && c <= '9' : c == wanted;
  });
}

}  // namespace

RequestParser::Outcome RequestParser::parse(std::string_view bytes, std::size_t& consumed) {
  const Outcome outcome = look_at(bytes, consumed);
  const bool goes_on = outcome == Outcome::complete && request_.has_body();
  if (outcome != Outcome::incomplete && !goes_on) impl_->parser.reset();
  return outcome;
}

RequestParser::Outcome RequestParser::parse_body(std::string_view bytes, std::size_t& consumed,
                                                 std::string& body) {
  if (!impl_->parser) return Outcome::complete;
  BeastParser& parser = *impl_->parser;
  std::array<char, 16384> block;
  // No chunked body ends in fewer bytes than "0\r\n\r\n" has, wherever it stands. Beast asserts
  // that a last chunk which it saw incomplete has at least so many when it sees it again.
  const std::size_t least = parser.chunked() ? 5 : 0;
  while (!parser.is_done()) {
    if (bytes.size() < least) return Outcome::incomplete;
    parser.get().body() = {block.data(), block.size(), true};
    beast::error_code error;
    const std::size_t taken =
        parser.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
    consumed += taken;
    bytes.remove_prefix(taken);
    const std::size_t filled = block.size() - parser.get().body().size;
    body.append(block.data(), filled);
    if (error == beast::http::error::need_buffer) error = {};
    if (error && error != beast::http::error::need_more) {
      impl_->parser.reset();
      complaint_ = "The request's body is not framed as its head says.";
      return Outcome::malformed;
    }
    if (taken == 0 && !parser.is_done()) return Outcome::incomplete;
  }
  impl_->parser.reset();
  return Outcome::complete;
}

RequestParser::Outcome RequestParser::look_at(std::string_view bytes, std::size_t& consumed) {
  // A robust server ignores an empty line before the request line (RFC 9112 §2.2).
  while (head_bytes_ == 0 && bytes.starts_with("\r\n")) {
    bytes.remove_prefix(2);
    consumed += 2;
  }
  if (bytes.empty() || (head_bytes_ == 0 && bytes == "\r")) return Outcome::incomplete;

  beast::error_code error;
  const std::size_t taken =
      impl_->parser->put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  consumed += taken;
  head_bytes_ += taken;
  head_lines_ += static_cast<std::size_t>(
      std::count(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken), '\n'));

  const std::string_view rest = bytes.substr(taken);
  const bool in_request_line = head_lines_ == 0 && rest.find('\n') == std::string_view::npos;
  // Beside the fields there are the request line and the empty one.
  if (error == beast::http::error::header_limit || head_lines_ > fields_max + 2)
    return in_request_line ? Outcome::target_too_long : Outcome::too_large;
  if (error == beast::http::error::bad_version && has_other_version(bytes))
    return Outcome::version_unsupported;
  if (error && error != beast::http::error::need_more) {
    complaint_ = complaint_about(error);
    return Outcome::malformed;
  }
  if (impl_->parser->is_header_done()) {
    if (head_bytes_ > head_bytes_max_) return Outcome::too_large;
    request_ = summary_of(*impl_->parser);
    return Outcome::complete;
  }
  if (head_bytes_ + rest.size() < head_bytes_max_) return Outcome::incomplete;
  return in_request_line ? Outcome::target_too_long : Outcome::too_large;
}

}  // namespace strictsend::http
