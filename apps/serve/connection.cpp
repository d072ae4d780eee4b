// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/connection.hpp"

#include <cerrno>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

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

std::uint64_t connection_bytes_max(const http::SessionLimits& limits) {
  // A head is there six times at most: in the buffer, which may have grown to twice of it, in the
  // parser, and, when it is all target, as the target of the request, that of the response, and as
  // path. A field costs the parser 64 bytes more than it is long. A response under way has a
  // Transfer. The rest is what a session consists of, and what malloc adds.
  constexpr std::uint64_t transfer_bytes_max = 1024;
  constexpr std::uint64_t session_bytes_max = 4096;
  return 6 * limits.head_bytes_max + http::RequestParser::fields_max * 64 +
         limits.responses_max * transfer_bytes_max + session_bytes_max;
}

Connection::Connection(ConnectionContext& context, const Event& accepted, const http::Clock& clock,
                       const http::SessionLimits& limits)
    : context_(context),
      id_(accepted.connection),
      peer_address_(accepted.peer_address),
      peer_(peer_name(accepted)),
      session_(*this, *this, clock, limits) {}

std::size_t Connection::receive(std::span<std::byte> into) {
  // A connection that is gone has nothing to receive; its `closed` event is on its way.
  return context_.engine.receive(id_, into).value_or(0);
}

http::SendOutcome Connection::send(http::Response& response) {
  Splice splice;
  splice.connection = id_;
  splice.header = std::as_bytes(std::span(response.head));
  splice.user_data = context_.transfers.next_key();
  const std::uint64_t key = splice.user_data;
  // Every representation here comes from the FileLoader, which makes no other kind.
  auto* file = static_cast<SnapshotRepresentation*>(response.body.get());
  const http::TimePoint began =
      file != nullptr ? file->freeze_began() : std::chrono::steady_clock::now();
  if (file != nullptr) splice.snapshot = file->take();

  const Result<std::uint64_t> splice_id = context_.engine.submit(std::move(splice));
  const http::TimePoint submit_ended = std::chrono::steady_clock::now();
  response.body.reset();
  if (!splice_id) {
    if (splice_id.error().errno_value == EAGAIN) {
      context_.blocked.push_back(id_);
      return http::SendOutcome::later;
    }
    spdlog::debug("{}: {}", peer_, splice_id.error().message());
    return http::SendOutcome::gone;
  }
  if (file != nullptr && context_.observer != nullptr)
    context_.observer->on_submit({response.target, peer_address_, began, submit_ended, *splice_id});
  context_.transfers.add(key, {id_, *splice_id, file != nullptr, response.status, peer_,
                               for_the_log(std::move(response.method)),
                               for_the_log(std::move(response.target)), began});
  return http::SendOutcome::queued;
}

void Connection::close() {
  // ENOTCONN: the peer was faster.
  static_cast<void>(context_.engine.close(id_));
}

void Connection::abort() {
  static_cast<void>(context_.engine.abort(id_));
}

void Connection::request_file(const std::string& path) {
  context_.loader.request(id_, path);
}

}  // namespace strictsend::serve
