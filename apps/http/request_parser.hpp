// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "apps/http/precondition.hpp"

namespace strictsend::http {

enum class Method : std::uint8_t { get, head, put, other };

/// What an Expect field wants (RFC 9110 §10.1.1).
enum class Expectation : std::uint8_t { none, continue_100, unknown };

/// What a session needs to know of a request's head.
struct Request {
  Method method = Method::other;
  std::string method_name;
  std::string target;
  int minor_version = 1;        ///< of HTTP/1
  bool keep_alive = false;      ///< by version and Connection field (RFC 9112 §9.3)
  std::size_t host_fields = 0;  ///< exactly one is right in HTTP/1.1 (RFC 9112 §3.2)
  std::string host;             ///< the field's value
  Expectation expectation = Expectation::none;
  Conditions conditions;
  std::optional<std::string> range;
  bool has_content_range = false;
  std::string referer;
  std::string user_agent;
  std::optional<std::uint64_t> body_bytes;  ///< by Content-Length
  bool body_is_chunked = false;             ///< its end is not known from the head
  bool body_is_coded = false;               ///< by anything else than chunks: its end is not known

  [[nodiscard]] bool has_body() const {
    return body_is_chunked || body_is_coded || body_bytes.value_or(0) > 0;
  }
};

/// Turns bytes into requests, one at a time, head and body. Owned by one session and used on its
/// thread; allocates, never blocks, throws nothing. What it holds is bounded by the longest head,
/// and by `fields_max` because a field costs more to hold than the few bytes that a peer may make
/// it of.
class RequestParser {
 public:
  static constexpr std::size_t fields_max = 100;  ///< a head with more is too large

  enum class Outcome : std::uint8_t {
    incomplete,
    complete,
    malformed,
    too_large,            ///< a head
    target_too_long,      ///< a head, whose request line alone is too large
    version_unsupported,  ///< a request line that is right but for another version than HTTP/1.0
                          ///< and HTTP/1.1
  };

  /// `head_bytes_max` is the longest head, request line and fields together.
  explicit RequestParser(std::size_t head_bytes_max);
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;
  ~RequestParser();

  /// Looks at `bytes`, which begin where the last call's consumed ones ended, and adds to
  /// `consumed` those that need not be shown again. After any outcome but `incomplete`, call
  /// `reset` first.
  Outcome parse(std::string_view bytes, std::size_t& consumed);

  /// The same for the body of a request that `parse` called complete: appends to `body` what stands
  /// in it, without the chunks' frames, and ignores trailers. Nothing is consumed while the frame
  /// of a chunk is incomplete. Outcomes: incomplete, complete, malformed.
  Outcome parse_body(std::string_view bytes, std::size_t& consumed, std::string& body);

  /// Whether a part of a head is consumed.
  [[nodiscard]] bool begun() const { return head_bytes_ > 0; }
  /// Of the head that `parse` called complete, until `reset`.
  [[nodiscard]] const Request& request() const { return request_; }
  /// For a malformed head: what is wrong with it, as one sentence.
  [[nodiscard]] const std::string& complaint() const { return complaint_; }
  void reset();

 private:
  struct Impl;
  Outcome look_at(std::string_view bytes, std::size_t& consumed);

  std::unique_ptr<Impl> impl_;
  Request request_;
  std::string complaint_;
  std::size_t head_bytes_max_;
  std::size_t head_bytes_ = 0;  // consumed of the present head
  std::size_t head_lines_ = 0;  // likewise
};

}  // namespace strictsend::http
