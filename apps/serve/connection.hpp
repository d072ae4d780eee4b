// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "apps/http/session.hpp"
#include "apps/serve/file_loader.hpp"
#include "apps/serve/observer.hpp"
#include "apps/serve/outgoing.hpp"
#include "apps/serve/transfers.hpp"
#include "apps/serve/upload_queue.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::serve {

/// What all connections of a server share. The server's thread only.
struct ConnectionContext {
  Engine& engine;
  FileLoader& loader;
  Transfers& transfers;
  UploadQueue* uploads;                ///< null: there is no PUT
  Observer* observer;                  ///< may be null
  bool access_log;                     ///< requests are to be remembered for it
  std::vector<ConnectionId>& blocked;  ///< of which a submit was refused for now
};

/// How many splices a connection has submitted and not seen released, at most: few, so that the
/// engine's are enough for all connections, and as many as keep a response of small ranges moving.
constexpr std::size_t connection_splices_max = 4;

/// What one connection can take of memory at most, beside the engine's part: for a peer that sends
/// the largest heads it may, asks for the largest answers, and takes no response.
[[nodiscard]] std::uint64_t connection_bytes_max(const http::SessionLimits& limits, bool listing,
                                                 bool access_log);

/// One TCP connection of the engine as an HTTP stream, with the session on it. From its
/// `accepted` event to `closed`, in the server's hands and on its thread.
class Connection final : private http::Stream, private http::FileRequests, private http::Uploads {
 public:
  Connection(ConnectionContext& context, const Event& accepted, const http::Clock& clock,
             const http::SessionLimits& limits);

  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() override;

  [[nodiscard]] http::Session& session() { return session_; }
  /// One splice was released; `response_ended` says that it was the last of its response.
  void on_released(bool response_ended);
  /// After a submit was refused for now.
  void on_send_possible();
  /// The responses of which pieces are not submitted.
  [[nodiscard]] const std::deque<Outgoing>& outgoing() const { return outgoing_; }

 private:
  [[nodiscard]] AccessRecord access_record(const http::Response& response) const;
  void flush();
  [[nodiscard]] http::SendOutcome refused(const Error& error);

  std::size_t receive(std::span<std::byte> into) override;
  http::SendOutcome send(http::Response& response) override;
  void close() override;
  void abort() override;
  void request_file(const std::string& path) override;
  void begin_upload(const std::string& path, const http::Conditions& conditions) override;
  void write_upload(std::string bytes) override;
  void finish_upload() override;
  void abandon_upload() override;

  ConnectionContext& context_;
  const ConnectionId id_;
  const IpAddress peer_address_;
  const std::string peer_;         ///< for the log
  bool aborted_ = false;           // what waits to be sent does so in vain
  bool closing_ = false;           // once that has gone
  std::deque<Outgoing> outgoing_;  // not submitted whole; responses_max of them at most
  std::size_t splices_out_ = 0;
  http::Session session_;  // refers to *this as its stream
};

}  // namespace strictsend::serve
