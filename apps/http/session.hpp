// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "apps/http/clock.hpp"
#include "apps/http/request_parser.hpp"
#include "apps/http/response.hpp"
#include "apps/http/stream.hpp"
#include "apps/http/upload.hpp"

namespace strictsend::http {

struct SessionLimits {
  std::size_t head_bytes_max = 8192;  ///< longer request heads get 431
  /// Queued and not yet acknowledged, per connection: one under way and one that waits behind it.
  std::size_t responses_max = 2;
  std::uint64_t skipped_body_bytes_max = 65536;  ///< longer request bodies close the connection
  std::uint64_t put_bytes_max = std::uint64_t{1} << 30;  ///< longer files get 413
  std::uint64_t linger_bytes_max = 16U << 20;            ///< thrown away after closing, then reset
  /// From a head's first byte to its last, and between two pieces of a body.
  std::chrono::milliseconds request_timeout{10'000};
  std::chrono::milliseconds idle_timeout{60'000};   ///< between requests
  std::chrono::milliseconds linger_timeout{5'000};  ///< from the last response to the peer's FIN
};

/// One HTTP/1.1 connection: reads requests, asks for files, queues responses (RFC 9112).
///
///            ┌───────────────── kept alive ──────────────────┐
///            ▼                                               │
///         reading ──head──▶ resolving ──file──▶ (send) ──▶ skipping_body
///            │  ▲                                 │ ▲
///            │  └ responses_max queued:           ▼ │
///            │    reads no further              blocked
///            └──error, time-out, FIN──▶ (send) ──▶ closing ──▶ done
///
/// PUT is resolved otherwise (session_put.cpp); each answer of the uploads is one `on_upload`:
///
///         reading ──head──▶ storing ──begun, written──▶ receiving ──piece of the body, end──▶
///         storing
///                              └──stored, refused──▶ (send)
///
/// Requests are taken one by one: the next head is parsed when the last one's response is queued.
/// So pipelined responses are in order by construction, and while the peer does not take them,
/// nothing is read from it and its window closes.
///
/// Owned by the server's connection, used on the server's thread only. Blocks nowhere. The stream
/// and the source of files must outlive it. After `close` it still reads, and throws away, what the
/// peer sends, for a bounded time: a reset would destroy the response on its way (RFC 9112 §9.6).
class Session {
 public:
  /// `uploads` may be null: then there is no PUT here.
  Session(Stream& stream, FileRequests& files, Uploads* uploads, const Clock& clock,
          const SessionLimits& limits);

  void on_readable();                            ///< bytes may wait in the stream
  void on_peer_closed();                         ///< no bytes come after those that wait
  void on_resolved(Resolution resolution);       ///< the answer to FileRequests::request_file
  void on_upload(const UploadOutcome& outcome);  ///< the answer to a call of Uploads
  void on_released();       ///< one queued response is acknowledged or given up
  void on_send_possible();  ///< after SendOutcome::later
  void on_tick();           ///< the deadline may have passed
  void drain();             ///< no new requests: finish, then close

  /// When `on_tick` has something to do; TimePoint::max() while only an event can bring it on.
  [[nodiscard]] TimePoint deadline() const;
  /// Whether a request that was taken is not yet answered to its last byte.
  [[nodiscard]] bool busy() const {
    return responses_queued_ > 0 || phase_ == Phase::resolving || phase_ == Phase::blocked ||
           phase_ == Phase::storing || phase_ == Phase::receiving;
  }
  /// Whether a request was taken whose response is not queued, and perhaps never will be.
  [[nodiscard]] bool owes_response() const { return owes_response_; }

 private:
  enum class Phase : std::uint8_t {
    reading,
    resolving,
    storing,
    receiving,
    blocked,
    skipping_body,
    closing,
    done
  };

  void advance();
  bool read_head();  // true: something changed, go on
  bool skip_body();  // likewise
  bool fill();       // true: there are new bytes in buffer_
  void discard_input();
  void begin_response();
  void take_request();
  void take_put();
  void begin_receiving();
  bool receive_body();  // true: something changed, go on
  bool give_up_upload(const Refusal& refusal);
  void drop_upload();
  [[nodiscard]] Refusal too_much() const;
  void answer(std::unique_ptr<Representation> representation);
  void refuse(const Refusal& refusal);
  void refuse_and_close(const Refusal& refusal);
  void send();
  void after_response();
  void begin_reading();
  void begin_closing();
  void end();
  [[nodiscard]] Refusal with_location(Refusal refusal) const;
  [[nodiscard]] std::string_view allowed() const;
  [[nodiscard]] Wording wording() const;
  [[nodiscard]] Persistence persistence() const;

  Stream& stream_;
  FileRequests& files_;
  Uploads* const uploads_;
  const Clock& clock_;
  const SessionLimits limits_;

  Phase phase_ = Phase::reading;
  std::string buffer_;  // received and not yet consumed; at most head_bytes_max
  RequestParser parser_;
  bool head_begun_ = false;
  bool peer_closed_ = false;
  bool draining_ = false;
  bool owes_response_ = false;
  bool lost_body_ = false;           // of response_, when it was refused for now
  bool close_after_ = false;         // the present response is the last
  std::uint64_t skipped_bytes_ = 0;  // of the present request's body
  std::uint64_t body_bytes_ = 0;     // of it, handed to the uploads
  bool body_ended_ = false;
  bool upload_begun_ = false;
  std::uint64_t discarded_bytes_ = 0;
  std::string path_;   // of the present request
  Response response_;  // being built, or blocked
  std::size_t responses_queued_ = 0;
  TimePoint phase_began_;  // or, while reading, when the head began or the connection became idle
};

}  // namespace strictsend::http
