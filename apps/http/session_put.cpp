// SPDX-License-Identifier: Apache-2.0
// What a session does with PUT (RFC 9110 §9.3.4): the body goes to the uploads as it comes, one
// piece at a time, so that a slow disk closes the client's window.
#include <utility>

#include <fmt/format.h>

#include "apps/http/session.hpp"

namespace strictsend::http {

void Session::take_put() {
  const Request& request = parser_.request();
  if (path_.ends_with('/'))
    return refuse(Refusal{409, "This names a directory; only a file can be stored."});
  // RFC 9110 §14.5: a part that was stored as the whole would be a fault that nobody sees.
  if (request.has_content_range)
    return refuse(Refusal{400, "A file can only be stored whole, without Content-Range."});
  if (!request.body_bytes && !request.body_is_chunked)
    return refuse(Refusal{411, "How long the file is must be said, or be told by chunks."});
  if (request.body_bytes.value_or(0) > limits_.put_bytes_max) return refuse_and_close(too_much());
  body_bytes_ = 0;
  phase_ = Phase::storing;
  uploads_->begin_upload(path_, request.conditions);
}

void Session::on_upload(const UploadOutcome& outcome) {
  if (phase_ != Phase::storing) return;  // the peer went meanwhile
  if (!outcome) {
    upload_begun_ = false;
    // Before its first byte a body can still be skipped like any other.
    if (body_bytes_ > 0) close_after_ = true;
    refuse(outcome.error());
  } else if (*outcome == UploadProgress::ready) {
    if (!upload_begun_) begin_receiving();
    phase_ = Phase::receiving;
    phase_began_ = clock_.now();
  } else {
    upload_begun_ = false;
    response_.status = *outcome == UploadProgress::created ? 201 : 204;
    response_.pieces = {{stored_head(response_.status, wording()), {}}};
    send();
  }
  advance();
}

void Session::begin_receiving() {
  const Request& request = parser_.request();
  upload_begun_ = true;
  body_ended_ = !request.has_body();
  // What the head alone made look like a body of no use is one that is wanted.
  close_after_ = !request.keep_alive || draining_;
  const bool waits = request.expectation == Expectation::continue_100 && request.has_body() &&
                     request.minor_version >= 1 && buffer_.empty();
  if (!waits) return;
  Response invitation;
  invitation.status = 100;
  invitation.pieces = {{"HTTP/1.1 100 Continue\r\n\r\n", {}}};
  // Should it not go out, the client gets tired of waiting for it (RFC 9110 §10.1.1).
  if (stream_.send(invitation) == SendOutcome::queued) ++responses_queued_;
}

/// Takes what of the body is there and hands it on.
bool Session::receive_body() {
  std::string bytes;
  if (!body_ended_) {
    std::size_t consumed = 0;
    const RequestParser::Outcome outcome = parser_.parse_body(buffer_, consumed, bytes);
    buffer_.erase(0, consumed);
    body_bytes_ += bytes.size();
    if (outcome == RequestParser::Outcome::malformed)
      return give_up_upload(Refusal{400, parser_.complaint()});
    if (body_bytes_ > limits_.put_bytes_max) return give_up_upload(too_much());
    body_ended_ = outcome == RequestParser::Outcome::complete;
    if (!body_ended_ && bytes.empty() && buffer_.size() >= limits_.head_bytes_max)
      return give_up_upload(Refusal{400, "The frame of a chunk does not end."});
  }
  if (!bytes.empty()) {
    phase_ = Phase::storing;
    uploads_->write_upload(std::move(bytes));
    return false;
  }
  if (body_ended_) {
    phase_ = Phase::storing;
    uploads_->finish_upload();
    return false;
  }
  if (fill()) return true;
  if (!peer_closed_) return false;
  drop_upload();
  begin_closing();
  return true;
}

bool Session::give_up_upload(const Refusal& refusal) {
  drop_upload();
  refuse_and_close(refusal);
  return true;
}

void Session::drop_upload() {
  if (!std::exchange(upload_begun_, false)) return;
  uploads_->abandon_upload();
}

Refusal Session::too_much() const {
  return {413, fmt::format("No more than {} bytes can be stored at once.", limits_.put_bytes_max)};
}

}  // namespace strictsend::http
