// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "tests/relay/relay_network.hpp"

namespace strictsend::bench {

/// One of the two TCPs that are compared, with the HTTP server on it. Owned and used by one thread;
/// destroyed with all its processes. Those run at the relay's priority: the kernel's TCP works on
/// behalf of whoever sends to it, and so of the relay, and would not notice other load that holds
/// up a program.
class TransportServer {
 public:
  struct Config {
    relay::RelayNetwork::Host host;
    std::string directory;  ///< whose files are served
    std::string congestion_control;
  };
  static constexpr std::uint16_t port = 8080;

  TransportServer() = default;
  TransportServer(const TransportServer&) = delete;
  TransportServer& operator=(const TransportServer&) = delete;
  virtual ~TransportServer() = default;

  /// Serves from now on.
  virtual Result<void> start() = 0;
  /// Serves no more; how many segments it sent again since `start`.
  virtual Result<std::uint64_t> stop() = 0;
  /// What stands in the way of the congestion control that was asked for; empty: nothing.
  [[nodiscard]] virtual std::string restriction() const = 0;
};

/// `strictsend serve` on AF_XDP.
std::unique_ptr<TransportServer> make_strictsend_server(const TransportServer::Config& config);

/// nginx with sendfile on the kernel's TCP.
std::unique_ptr<TransportServer> make_kernel_server(const TransportServer::Config& config);

}  // namespace strictsend::bench
