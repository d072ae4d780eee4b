// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "apps/http/request_parser.hpp"

namespace strictsend::statistics {

/// One HTTP request for metrics, on a connection that ends with its answer: GET /metrics, and a
/// sentence for everything else. Takes bytes as they come; what it keeps is bounded by the longest
/// head that is read. One thread's.
class MetricsRequest {
 public:
  MetricsRequest() : parser_(head_bytes_max) {}

  /// The whole answer, once the head is there or can be seen never to be right; nothing more is
  /// read then. `metrics` makes the text that is asked for.
  [[nodiscard]] std::optional<std::string> take(std::string_view bytes,
                                                const std::function<std::string()>& metrics,
                                                std::int64_t now_unix_seconds);

  static constexpr std::size_t head_bytes_max = 8192;

 private:
  http::RequestParser parser_;
  std::string waiting_;  // received and not consumed
};

}  // namespace strictsend::statistics
