// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/unique_fd.hpp"
#include "engine/transport/tcp/congestion_control.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::packetdrill {

/// A number for a socket that no other descriptor of the process has. It stands for nothing, but it
/// is real: at the end of a script packetdrill closes what is open with close(2) itself, and
/// without a word. Then the number may already be somebody else's, and is left alone.
class ReservedFd {
 public:
  /// None where the process has no descriptor left.
  static ReservedFd take();
  ReservedFd() = default;
  ReservedFd(ReservedFd&& other) noexcept = default;
  ReservedFd& operator=(ReservedFd&& other) noexcept;
  ReservedFd(const ReservedFd&) = delete;
  ReservedFd& operator=(const ReservedFd&) = delete;
  ~ReservedFd() { give_up_if_lost(); }

  [[nodiscard]] int number() const { return fd_.get(); }
  [[nodiscard]] bool valid() const { return fd_.valid(); }
  [[nodiscard]] bool still_ours() const;

 private:
  void give_up_if_lost();

  UniqueFd fd_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

struct SocketOptions {
  std::uint32_t send_buffer_bytes = 0;     ///< as SO_SNDBUF tells it: twice what was asked for
  std::uint32_t receive_buffer_bytes = 0;  ///< the same; 0: the stack's
  std::uint32_t notsent_lowat_bytes = 0;   ///< TCP_NOTSENT_LOWAT; 0: none
  std::uint16_t mss_bytes = 0;             ///< TCP_MAXSEG; 0: the stack's
  tcp::CongestionAlgorithm congestion = tcp::CongestionAlgorithm::cubic;  ///< TCP_CONGESTION
  bool reuse_address = false;
  bool tells_inq = false;  ///< TCP_INQ
  bool v6_only = false;    ///< IPV6_V6ONLY
  linger linger_on_close{};
};

/// What a script sees as a socket (or as an epoll set). It has no thread and decides nothing about
/// TCP: it remembers what has happened to its connection until the script asks.
struct Socket {
  enum class Kind : std::uint8_t { fresh, listening, connected, epoll };
  struct Interest {
    epoll_event event{};
    std::uint64_t edges_seen = 0;
    bool armed = true;  ///< false: EPOLLONESHOT has told it
  };

  ReservedFd fd;
  Kind kind = Kind::fresh;
  int domain = AF_INET;
  bool nonblocking = false;
  SocketOptions options;

  // Bound or listening.
  std::optional<IpAddress> address;  ///< an IPv4-mapped one as IPv4's; none: any of the domain's
  std::uint16_t port = 0;
  std::size_t backlog = 0;
  std::deque<std::shared_ptr<Socket>> accepted;  ///< connections that nobody has accepted yet

  // Connected.
  ConnectionId connection;
  IpAddress peer_address;
  std::uint16_t peer_port = 0;
  bool gone = false;         ///< the connection has ended, for whatever reason
  bool peer_closed = false;  ///< FIN has come
  bool read_shut = false;
  bool write_shut = false;
  bool orphaned = false;        ///< the script has closed it; the connection goes on
  bool wants_space = false;     ///< a write, or a look at it, has found no room
  int error = 0;                ///< to be told once
  std::vector<std::byte> rest;  ///< what nobody had received when the connection ended
  std::size_t rest_taken = 0;
  std::uint64_t edges = 0;  ///< counts what EPOLLET tells of

  std::map<int, Interest> interests;  ///< of an epoll set

  /// Whether a listener is there for packets of this family: RFC 3493 §3.7, §5.3.
  [[nodiscard]] bool takes(AddressFamily family) const;
};

}  // namespace strictsend::packetdrill
