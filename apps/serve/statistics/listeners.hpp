// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "apps/support/unique_fd.hpp"
#include <strictsend/address.hpp>
#include <strictsend/result.hpp>

namespace strictsend::statistics {

/// A listening Unix socket with a name in the file system, which goes with it. Made at set-up,
/// before rights are given up; connections wait until somebody accepts them.
///
/// The file's mode is 0660. It belongs to whom its directory belongs to, if this process may give
/// it away: a server that goes on as the directory's owner can then remove it, and the directory's
/// group may connect.
class UnixListener {
 public:
  /// Takes the place of a socket on which nobody listens any more. EEXIST: something else stands
  /// there. EADDRINUSE: somebody listens.
  static Result<UnixListener> bind(const std::string& path);
  UnixListener(UnixListener&& other) noexcept = default;
  UnixListener& operator=(UnixListener&& other) = delete;
  UnixListener(const UnixListener&) = delete;
  UnixListener& operator=(const UnixListener&) = delete;
  ~UnixListener();  ///< removes the file, unless another one has taken its place

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  UnixListener(std::string path, app::UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string path_;
  app::UniqueFd fd_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

/// An address of this machine's own, which no other machine reaches.
struct LoopbackEndpoint {
  IpAddress address = Ipv4Address{127, 0, 0, 1};
  std::uint16_t port = 0;  ///< 0: one that is free
};

/// "9100", "127.0.0.1:9100", "[::1]:9100"; port 0 for one that is free. The error is a sentence.
[[nodiscard]] tl::expected<LoopbackEndpoint, std::string> parse_loopback_endpoint(
    std::string_view text);

/// A listening TCP socket of the kernel's on such an address. Made at set-up, like the other.
class LoopbackListener {
 public:
  static Result<LoopbackListener> bind(const LoopbackEndpoint& endpoint);

  [[nodiscard]] int fd() const { return fd_.get(); }
  /// Where it listens: with the port that it got.
  [[nodiscard]] const LoopbackEndpoint& endpoint() const { return endpoint_; }

 private:
  LoopbackListener(app::UniqueFd fd, LoopbackEndpoint endpoint)
      : fd_(std::move(fd)), endpoint_(endpoint) {}

  app::UniqueFd fd_;
  LoopbackEndpoint endpoint_;
};

}  // namespace strictsend::statistics
