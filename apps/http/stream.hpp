// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "apps/http/range.hpp"
#include "apps/http/refusal.hpp"
#include <strictsend/file.hpp>

namespace strictsend::http {

/// A file as it was at one instant (RFC 9110's *representation*): attributes and bytes that belong
/// together. The bytes are for the Stream that the maker of the representation goes with; HTTP
/// looks at the attributes alone.
class Representation {
 public:
  virtual ~Representation() = default;
  [[nodiscard]] virtual const FileAttributes& attributes() const = 0;
  [[nodiscard]] virtual std::string_view media_type() const = 0;
  /// Of one that is no file but was made for this request (a listing): all of it. It has no
  /// validators, and its attributes say nothing but its size.
  [[nodiscard]] virtual const std::string* page() const { return nullptr; }
};

/// What came of asking for a file.
using Resolution = tl::expected<std::unique_ptr<Representation>, Refusal>;

/// Some bytes of a response: text, and then bytes of its body, which may be none.
struct Piece {
  std::string text;
  ByteRange range{};
};

/// One response, ready to go out: its pieces in order, the first of which begins with the head.
/// What it answers is there for logs and observers; all of that is empty if the request was
/// unreadable.
struct Response {
  int status = 0;
  std::string method;
  std::string target;
  int minor_version = 1;
  std::string referer;
  std::string user_agent;
  std::vector<Piece> pieces;
  std::unique_ptr<Representation> body;  ///< of which the ranges are; null: there are none
};

enum class SendOutcome : std::uint8_t {
  queued,  ///< taken; `Session::on_released` follows once
  later,   ///< not now; the body is given up: `Session::on_send_possible` follows
  gone,    ///< the peer is: nothing more can be sent, ever
};

/// Where HTTP meets the transport: an ordered stream of bytes in each direction. TCP by the engine
/// is one; anything that keeps order can be another.
///
/// Belongs to one session, outlives it, used on its thread. Nothing here waits for the network, and
/// nothing calls the session back from inside.
class Stream {
 public:
  virtual ~Stream() = default;
  /// Copies bytes out; 0 when none wait (also after the peer's last one).
  virtual std::size_t receive(std::span<std::byte> into) = 0;
  /// Takes the response or nothing of it; with `later` its body is gone, but its pieces are not.
  virtual SendOutcome send(Response& response) = 0;
  virtual void close() = 0;  ///< after everything queued
  virtual void abort() = 0;  ///< at once
};

/// Where a session asks for files. Every request is answered by one `Session::on_resolved`, later
/// and never from inside, unless the session is gone by then. At most one is open per session.
class FileRequests {
 public:
  virtual ~FileRequests() = default;
  /// `path` is relative to the root and not checked: see path_of_target. A directory is answered
  /// with what is served in its place, or, if the path has no slash at its end, refused with 301.
  virtual void request_file(const std::string& path) = 0;
};

}  // namespace strictsend::http
