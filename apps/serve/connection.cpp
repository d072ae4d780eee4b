// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/connection.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "apps/http/listing.hpp"
#include "apps/serve/snapshot_representation.hpp"

namespace strictsend::serve {
namespace {

/// Of a method or a target in a log line; the peer chooses their length, and each waits as long as
/// its response is under way.
constexpr std::size_t logged_bytes_max = 128;

std::string for_the_log(std::string text) {
  if (text.size() <= logged_bytes_max) return text;
  return text.substr(0, logged_bytes_max) + "...";
}

std::string peer_name(const Event& accepted) {
  return fmt::format("{}:{}", to_url_host(accepted.peer_address), accepted.peer_port);
}

}  // namespace

std::uint64_t connection_bytes_max(const http::SessionLimits& limits, bool listing,
                                   bool access_log) {
  // A head is there seven times at most: in the buffer, which may have grown to twice of it, in the
  // parser, and, when it is all target, as the target of the request, that of the response, and as
  // path; or, when it is all conditions, as those. A field costs the parser 64 bytes more than it
  // is long. A response under way has a Transfer, and its pieces. The rest is what a session
  // consists of, and what malloc adds.
  constexpr std::uint64_t transfer_bytes_max = 1024;
  constexpr std::uint64_t piece_bytes_max = 384;
  constexpr std::uint64_t session_bytes_max = 4096;
  const std::uint64_t response_bytes_max =
      transfer_bytes_max +
      std::max<std::uint64_t>((http::ranges_max + 2) * piece_bytes_max,
                              listing ? 2 * http::listing_bytes_max : 0) +
      (access_log ? limits.head_bytes_max : 0);
  // PUT has a buffer of a body on its way to the disk besides.
  return 8 * limits.head_bytes_max + http::RequestParser::fields_max * 64 +
         limits.responses_max * response_bytes_max + session_bytes_max;
}

Connection::Connection(ConnectionContext& context, const Event& accepted, const http::Clock& clock,
                       const http::SessionLimits& limits)
    : context_(context),
      id_(accepted.connection),
      peer_address_(accepted.peer_address),
      peer_(peer_name(accepted)),
      session_(*this, *this, context.uploads != nullptr ? this : nullptr, clock, limits) {}

Connection::~Connection() {
  if (context_.uploads != nullptr) context_.uploads->abandon(id_);
}

std::size_t Connection::receive(std::span<std::byte> into) {
  // A connection that is gone has nothing to receive; its `closed` event is on its way.
  return context_.engine.receive(id_, into).value_or(0);
}

http::SendOutcome Connection::send(http::Response& response) {
  // Every file here comes from the FileLoader, which makes no other kind.
  std::unique_ptr<SnapshotRepresentation> file(
      static_cast<SnapshotRepresentation*>(response.body.release()));
  const http::TimePoint began =
      file != nullptr ? file->freeze_began() : std::chrono::steady_clock::now();
  const bool is_file = file != nullptr && response.status == 200;
  // With a file the pieces are made again should this be refused; without one they are all there
  // is, and few.
  AccessRecord access = access_record(response);
  std::vector<http::Piece> pieces = file != nullptr ? std::move(response.pieces) : response.pieces;
  Outgoing outgoing(id_, context_.transfers.next_key(), std::move(pieces), std::move(file));

  std::uint64_t splice_id = 0;
  if (outgoing_.empty() && splices_out_ < connection_splices_max) {
    const Result<std::uint64_t> submitted = outgoing.submit(context_.engine);
    if (!submitted) return refused(submitted.error());
    splice_id = *submitted;
    ++splices_out_;
  }
  const bool observed = is_file && splice_id != 0;
  if (observed && context_.observer != nullptr)
    context_.observer->on_submit(
        {response.target, peer_address_, began, std::chrono::steady_clock::now(), splice_id});
  context_.transfers.add(outgoing.key(), {id_,
                                          splice_id,
                                          observed,
                                          response.status,
                                          peer_,
                                          for_the_log(std::move(response.method)),
                                          for_the_log(std::move(response.target)),
                                          began,
                                          outgoing.pieces(),
                                          {},
                                          std::move(access)});
  if (outgoing.pieces_left() > 0) outgoing_.push_back(std::move(outgoing));
  flush();
  return http::SendOutcome::queued;
}

AccessRecord Connection::access_record(const http::Response& response) const {
  if (!context_.access_log) return {};
  return {to_string(peer_address_),
          response.method,
          response.target,
          response.minor_version,
          response.referer,
          response.user_agent,
          response.pieces.front().text.find("\r\n\r\n") + 4};
}

http::SendOutcome Connection::refused(const Error& error) {
  if (error.errno_value == EAGAIN || error.errno_value == ENOBUFS ||
      error.errno_value == ECANCELED) {
    context_.blocked.push_back(id_);
    return http::SendOutcome::later;
  }
  spdlog::debug("{}: {}", peer_, error.message());
  return http::SendOutcome::gone;
}

void Connection::flush() {
  if (aborted_) return;
  while (!outgoing_.empty() && splices_out_ < connection_splices_max) {
    Outgoing& outgoing = outgoing_.front();
    const Result<std::uint64_t> submitted = outgoing.submit(context_.engine);
    if (submitted) {
      ++splices_out_;
      if (outgoing.pieces_left() == 0) outgoing_.pop_front();
      continue;
    }
    const int error = submitted.error().errno_value;
    if (error == EAGAIN || error == ENOBUFS) {
      context_.blocked.push_back(id_);
      return;
    }
    // A response that has begun cannot go on: its end must not look like one.
    spdlog::debug("{}: {}", peer_, submitted.error().message());
    abort();
    return;
  }
  if (closing_ && outgoing_.empty()) close();
}

void Connection::on_released(bool response_ended) {
  --splices_out_;
  flush();
  if (response_ended) session_.on_released();
}

void Connection::on_send_possible() {
  flush();
  if (outgoing_.empty()) session_.on_send_possible();
}

void Connection::close() {
  // Behind what is queued in the engine it would come, but not behind what waits here.
  closing_ = !outgoing_.empty();
  if (closing_) return;
  // ENOTCONN: the peer was faster.
  static_cast<void>(context_.engine.close(id_));
}

void Connection::abort() {
  aborted_ = true;
  static_cast<void>(context_.engine.abort(id_));
}

void Connection::request_file(const std::string& path) {
  context_.loader.request(id_, path);
}

void Connection::begin_upload(const std::string& path, const http::Conditions& conditions) {
  context_.uploads->begin(id_, path, conditions);
}
void Connection::write_upload(std::string bytes) {
  context_.uploads->write(id_, std::move(bytes));
}
void Connection::finish_upload() {
  context_.uploads->finish(id_);
}
void Connection::abandon_upload() {
  context_.uploads->abandon(id_);
}

}  // namespace strictsend::serve
