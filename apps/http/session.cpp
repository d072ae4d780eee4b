// SPDX-License-Identifier: Apache-2.0
#include "apps/http/session.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "apps/http/answer.hpp"
#include "apps/http/target.hpp"

namespace strictsend::http {
namespace {

/// What is wrong with a head that can be read, if it is such that nothing after it can be trusted.
std::optional<Refusal> fault_of(const Request& request) {
  const bool host_wrong =
      request.host_fields > 1 || (request.host_fields == 0 && request.minor_version >= 1);
  if (host_wrong) return Refusal{400, "A request needs exactly one Host field."};
  if (request.host_fields == 1 && !is_host(request.host))
    return Refusal{400, "The Host field names no host."};
  if (request.body_is_coded)
    return Refusal{501, "The one transfer coding that is known here is chunked."};
  // RFC 9112 §6.1: then its framing is wrong, whatever it says.
  if (request.body_is_chunked && request.minor_version == 0)
    return Refusal{400, "HTTP/1.0 has no transfer codings."};
  return std::nullopt;
}

}  // namespace

Session::Session(Stream& stream, FileRequests& files, Uploads* uploads, const Clock& clock,
                 const SessionLimits& limits)
    : stream_(stream),
      files_(files),
      uploads_(uploads),
      clock_(clock),
      limits_(limits),
      parser_(limits.head_bytes_max),
      phase_began_(clock.now()) {}

void Session::on_readable() {
  advance();
}

void Session::on_peer_closed() {
  peer_closed_ = true;
  advance();
}

void Session::on_resolved(Resolution resolution) {
  if (phase_ != Phase::resolving) return;  // the peer went meanwhile
  if (resolution)
    answer(std::move(*resolution));
  else
    refuse(with_location(resolution.error()));
  advance();
}

void Session::on_released() {
  --responses_queued_;
  // The idle time, or the time for the peer's FIN, begins with the last byte's arrival.
  if (responses_queued_ == 0 && !head_begun_) phase_began_ = clock_.now();
  advance();
}

void Session::on_send_possible() {
  if (phase_ != Phase::blocked) return;
  if (lost_body_) {
    // The head described those very bytes, so both are made again.
    phase_ = Phase::resolving;
    files_.request_file(path_);
  } else {
    send();
  }
  advance();
}

void Session::on_tick() {
  if (clock_.now() < deadline()) return;
  if (phase_ == Phase::reading && head_begun_) {
    close_after_ = true;
    begin_response();
    refuse_and_close(Refusal{408, fmt::format("The request did not arrive whole within {} ms.",
                                              limits_.request_timeout.count())});
  } else if (phase_ == Phase::receiving) {
    give_up_upload(Refusal{408, fmt::format("Nothing of the file arrived for {} ms.",
                                            limits_.request_timeout.count())});
  } else if (phase_ == Phase::closing) {
    stream_.abort();
    end();
  } else {
    begin_closing();  // idle, or a request body that does not come
  }
  advance();
}

void Session::drain() {
  draining_ = true;
  advance();
}

TimePoint Session::deadline() const {
  switch (phase_) {
    case Phase::reading:
      if (head_begun_) return phase_began_ + limits_.request_timeout;
      return responses_queued_ == 0 ? phase_began_ + limits_.idle_timeout : TimePoint::max();
    case Phase::skipping_body:
    case Phase::receiving:
      return phase_began_ + limits_.request_timeout;
    case Phase::closing:
      // While responses are on their way, the transport watches over the peer's progress.
      return responses_queued_ == 0 ? phase_began_ + limits_.linger_timeout : TimePoint::max();
    case Phase::resolving:
    case Phase::storing:
    case Phase::blocked:
    case Phase::done:
      break;
  }
  return TimePoint::max();
}

void Session::advance() {
  for (bool again = true; again;) {
    switch (phase_) {
      case Phase::reading:
        again = read_head();
        break;
      case Phase::skipping_body:
        again = skip_body();
        break;
      case Phase::receiving:
        again = receive_body();
        break;
      case Phase::closing:
        discard_input();
        again = false;
        break;
      case Phase::resolving:
      case Phase::storing:
      case Phase::blocked:
      case Phase::done:
        again = false;
        break;
    }
  }
}

bool Session::read_head() {
  if (draining_) {
    begin_closing();
    return true;
  }
  if (responses_queued_ >= limits_.responses_max) return false;

  std::size_t consumed = 0;
  const RequestParser::Outcome outcome = parser_.parse(buffer_, consumed);
  buffer_.erase(0, consumed);
  switch (outcome) {
    case RequestParser::Outcome::complete:
      take_request();
      return true;
    case RequestParser::Outcome::malformed:
      begin_response();
      refuse_and_close(Refusal{400, parser_.complaint()});
      return true;
    case RequestParser::Outcome::too_large:
      begin_response();
      refuse_and_close(Refusal{
          431,
          fmt::format("The request's head is longer than {} bytes, or has more than {} fields.",
                      limits_.head_bytes_max, RequestParser::fields_max)});
      return true;
    case RequestParser::Outcome::target_too_long:
      begin_response();
      refuse_and_close(Refusal{
          414, fmt::format("The request line is longer than {} bytes.", limits_.head_bytes_max)});
      return true;
    case RequestParser::Outcome::version_unsupported:
      begin_response();
      refuse_and_close(Refusal{505, "Only HTTP/1.0 and HTTP/1.1 are spoken here."});
      return true;
    case RequestParser::Outcome::incomplete:
      break;
  }

  if (!head_begun_ && (parser_.begun() || !buffer_.empty())) {
    head_begun_ = true;
    phase_began_ = clock_.now();
  }
  if (fill()) return true;
  if (!peer_closed_) return false;
  begin_closing();
  return true;
}

void Session::begin_response() {
  response_ = Response{};
  owes_response_ = true;
}

void Session::take_request() {
  const Request& request = parser_.request();
  begin_response();
  response_.method = request.method_name;
  response_.target = request.target;
  response_.minor_version = request.minor_version;
  response_.referer = request.referer;
  response_.user_agent = request.user_agent;
  skipped_bytes_ = 0;
  // No body is of use to GET and HEAD. A short one is skipped; of any other, or one for which the
  // client waits to be invited, the final response says that the connection ends (RFC 9110
  // §10.1.1).
  close_after_ = !request.keep_alive || request.body_is_coded ||
                 request.body_bytes.value_or(0) > limits_.skipped_body_bytes_max ||
                 (request.has_body() && request.expectation == Expectation::continue_100);

  if (const auto refusal = fault_of(request)) return refuse_and_close(*refusal);
  const bool is_put = request.method == Method::put && uploads_ != nullptr;
  if (request.method != Method::get && request.method != Method::head && !is_put)
    return refuse(Refusal{405, fmt::format("What is served here is {}.", allowed())});
  if (request.expectation == Expectation::unknown)
    return refuse(Refusal{417, "The one expectation that is met here is 100-continue."});
  auto path = path_of_target(request.target);
  if (!path) return refuse_and_close(path.error());

  path_ = std::move(*path);
  if (is_put) return take_put();
  phase_ = Phase::resolving;
  files_.request_file(path_);
}

void Session::answer(std::unique_ptr<Representation> representation) {
  const Request& request = parser_.request();
  close_after_ = close_after_ || draining_;
  if (representation->page() != nullptr) {
    response_.status = 200;
    response_.pieces = page_response(*representation, wording());
    return send();
  }
  const FileAttributes& attributes = representation->attributes();
  const Answer answer = decide({request.method == Method::get, request.conditions, request.range},
                               attributes, clock_.unix_seconds());
  if (answer.status == 412)
    return refuse(Refusal{412, "The file is not as the request's conditions want it."});
  if (answer.status == 416) {
    Refusal refusal{416, "The file has no such range."};
    refusal.complete_length = attributes.size_bytes;
    return refuse(refusal);
  }
  response_.status = answer.status;
  response_.pieces = file_response(answer, *representation, wording());
  const bool has_bytes = std::any_of(response_.pieces.begin(), response_.pieces.end(),
                                     [](const Piece& piece) { return piece.range.length() > 0; });
  if (has_bytes) response_.body = std::move(representation);
  send();
}

void Session::refuse(const Refusal& refusal) {
  close_after_ = close_after_ || draining_;
  response_.status = refusal.status;
  response_.pieces = {{refusal_message(refusal, wording(), allowed()), {}}};
  send();
}

void Session::refuse_and_close(const Refusal& refusal) {
  close_after_ = true;
  refuse(refusal);
}

void Session::send() {
  lost_body_ = response_.body != nullptr;
  switch (stream_.send(response_)) {
    case SendOutcome::queued:
      ++responses_queued_;
      owes_response_ = false;
      after_response();
      break;
    case SendOutcome::later:
      phase_ = Phase::blocked;
      break;
    case SendOutcome::gone:
      end();
      break;
  }
}

void Session::after_response() {
  if (close_after_) {
    begin_closing();
  } else if (parser_.request().has_body()) {
    phase_ = Phase::skipping_body;
    phase_began_ = clock_.now();
  } else {
    begin_reading();
  }
}

bool Session::skip_body() {
  std::string scrap;
  std::size_t consumed = 0;
  const RequestParser::Outcome outcome = parser_.parse_body(buffer_, consumed, scrap);
  buffer_.erase(0, consumed);
  skipped_bytes_ += consumed;
  const bool too_long = skipped_bytes_ > limits_.skipped_body_bytes_max;
  if (outcome == RequestParser::Outcome::complete && !too_long) {
    begin_reading();
    return true;
  }
  // A full buffer: a chunk's frame that does not end.
  const bool hopeless = outcome != RequestParser::Outcome::incomplete || too_long ||
                        buffer_.size() >= limits_.head_bytes_max;
  if (!hopeless && fill()) return true;
  if (!hopeless && !peer_closed_ && !draining_) return false;
  begin_closing();
  return true;
}

bool Session::fill() {
  // By way of the stack, so that an idle session keeps no more than its last request was long.
  std::array<std::byte, 4096> block;
  const std::size_t room =
      limits_.head_bytes_max - std::min(buffer_.size(), limits_.head_bytes_max);
  if (room == 0) return false;
  const std::size_t received =
      stream_.receive(std::span(block).first(std::min(room, block.size())));
  buffer_.append(reinterpret_cast<const char*>(block.data()), received);
  return received > 0;
}

void Session::discard_input() {
  std::array<std::byte, 4096> scrap;
  while (const std::size_t received = stream_.receive(scrap)) {
    discarded_bytes_ += received;
    if (discarded_bytes_ > limits_.linger_bytes_max) {
      stream_.abort();
      return end();
    }
  }
}

void Session::begin_reading() {
  parser_.reset();
  head_begun_ = false;
  close_after_ = false;
  phase_ = Phase::reading;
  phase_began_ = clock_.now();
}

void Session::begin_closing() {
  stream_.close();
  buffer_ = std::string();
  head_begun_ = false;
  phase_ = Phase::closing;
  phase_began_ = clock_.now();
}

void Session::end() {
  drop_upload();
  phase_ = Phase::done;
  buffer_ = std::string();
  response_ = Response{};
}

Refusal Session::with_location(Refusal refusal) const {
  if (refusal.status == 301) refusal.location = directory_location(path_, parser_.request().target);
  return refusal;
}

std::string_view Session::allowed() const {
  return uploads_ != nullptr ? "GET, HEAD, PUT" : "GET, HEAD";
}

Wording Session::wording() const {
  return {clock_.unix_seconds(), persistence(), parser_.request().method != Method::head};
}

Persistence Session::persistence() const {
  if (close_after_) return Persistence::close;
  return parser_.request().minor_version == 0 ? Persistence::keep_and_say : Persistence::keep;
}

}  // namespace strictsend::http
