// SPDX-License-Identifier: Apache-2.0
// The one file that knows Boost.Beast.
#include "apps/http/request_parser.hpp"

#include <algorithm>
#include <limits>
#include <optional>

// Under the sanitizers gcc 12 takes an empty boost::optional in Beast's parser for one that is
// read.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/rfc7230.hpp>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

namespace strictsend::http {

namespace beast = boost::beast;

struct RequestParser::Impl {
  // Beast's parser serves one message; it is made anew for each, and gone once the outcome is
  // known.
  std::optional<beast::http::request_parser<beast::http::empty_body>> parser;
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

Request summary_of(const beast::http::request_parser<beast::http::empty_body>& parser) {
  namespace fields = beast::http;
  const auto& message = parser.get();
  Request request;
  request.method_name = view(message.method_string());
  // Method names are case-sensitive (RFC 9110 §9.1), so Beast's look-up is exact.
  request.method = message.method() == fields::verb::get    ? Method::get
                   : message.method() == fields::verb::head ? Method::head
                                                            : Method::other;
  request.target = view(message.target());
  request.minor_version = static_cast<int>(message.version() % 10);
  request.keep_alive = parser.keep_alive();
  request.host_fields = message.count(fields::field::host);
  request.expects_continue = beast::iequals(message[fields::field::expect], "100-continue");
  request.body_is_coded = message.count(fields::field::transfer_encoding) > 0;
  if (!request.body_is_coded) request.body_bytes = parser.content_length().value_or(0);
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

}  // namespace

RequestParser::Outcome RequestParser::parse(std::string_view bytes, std::size_t& consumed) {
  const Outcome outcome = look_at(bytes, consumed);
  if (outcome != Outcome::incomplete) impl_->parser.reset();
  return outcome;
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

  // Beside the fields there are the request line and the empty one.
  if (error == beast::http::error::header_limit || head_lines_ > fields_max + 2)
    return Outcome::too_large;
  if (error && error != beast::http::error::need_more) {
    complaint_ = complaint_about(error);
    return Outcome::malformed;
  }
  if (impl_->parser->is_header_done()) {
    if (head_bytes_ > head_bytes_max_) return Outcome::too_large;
    request_ = summary_of(*impl_->parser);
    return Outcome::complete;
  }
  const std::size_t remaining = bytes.size() - taken;
  return head_bytes_ + remaining >= head_bytes_max_ ? Outcome::too_large : Outcome::incomplete;
}

}  // namespace strictsend::http
