// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/statistics/metrics_request.hpp"

#include <utility>

#include "apps/http/response.hpp"
#include "apps/serve/statistics/prometheus_text.hpp"

namespace strictsend::statistics {
namespace {

using http::Refusal;
using Outcome = http::RequestParser::Outcome;

class MetricsPage final : public http::Representation {
 public:
  explicit MetricsPage(std::string text) : text_(std::move(text)) {
    attributes_.size_bytes = text_.size();
  }
  [[nodiscard]] const FileAttributes& attributes() const override { return attributes_; }
  [[nodiscard]] std::string_view media_type() const override { return prometheus_content_type; }
  [[nodiscard]] const std::string* page() const override { return &text_; }

 private:
  std::string text_;
  FileAttributes attributes_;
};

std::optional<Refusal> refusal_of(const http::Request& request) {
  if (request.minor_version >= 1 ? request.host_fields != 1 : request.host_fields > 1)
    return Refusal{400, "A request needs exactly one Host field."};
  if (request.target.substr(0, request.target.find('?')) != "/metrics")
    return Refusal{404, "There is nothing here but /metrics."};
  if (request.method != http::Method::get)
    return Refusal{405, "Metrics can only be read: GET /metrics."};
  return std::nullopt;
}

Refusal refusal_of(Outcome outcome, const std::string& complaint) {
  switch (outcome) {
    case Outcome::too_large:
      return {431, "The request's head is too long."};
    case Outcome::target_too_long:
      return {414, "The request line is too long."};
    case Outcome::version_unsupported:
      return {505, "Only HTTP/1.0 and HTTP/1.1 are spoken here."};
    case Outcome::malformed:
    case Outcome::complete:
    case Outcome::incomplete:
      break;
  }
  return {400, complaint};
}

}  // namespace

std::optional<std::string> MetricsRequest::take(std::string_view bytes,
                                                const std::function<std::string()>& metrics,
                                                std::int64_t now_unix_seconds) {
  waiting_ += bytes;
  std::size_t consumed = 0;
  const Outcome outcome = parser_.parse(waiting_, consumed);
  waiting_.erase(0, consumed);
  if (outcome == Outcome::incomplete) return std::nullopt;

  http::Wording wording{now_unix_seconds, http::Persistence::close, true};
  std::optional<Refusal> refusal;
  if (outcome == Outcome::complete) {
    const http::Request& request = parser_.request();
    wording.with_body = request.method != http::Method::head;
    refusal = refusal_of(request);
  } else {
    refusal = refusal_of(outcome, parser_.complaint());
  }
  if (refusal) return http::refusal_message(*refusal, wording, "GET");
  return http::page_response(MetricsPage(metrics()), wording).front().text;
}

}  // namespace strictsend::statistics
