// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string>

#include "base/result.hpp"
#include "tests/support/netns.hpp"

namespace strictsend::relay {

/// Two hosts, a server's and a client's, each in a namespace of its own, and what a relay between
/// them needs: two interfaces without an address in the caller's namespace. Without a relay nothing
/// gets through. All offloads are off, so that packets are as a wire would carry them.
///
///      namespace of the server     caller's namespace      namespace of the client
///     ┌───────────────────────┐   ┌──────────────────┐    ┌───────────────────────┐
///     │ ssNb  198.18.x.y+2/30 ├───┤ ssNa ┄relay┄ ssMa ├────┤ ssMb  198.18.x.y+1/30 │
///     └───────────────────────┘   └──────────────────┘    └───────────────────────┘
///
/// Owned by one test or benchmark; destroyed with everything in it.
class RelayNetwork {
 public:
  static Result<RelayNetwork> create();

  struct Host {
    std::string interface_name;
    std::string address;
    int namespace_fd = -1;
    std::string namespace_name;
  };
  [[nodiscard]] const Host& server() const { return server_; }
  [[nodiscard]] const Host& client() const { return client_; }
  /// The relay's: towards the server, towards the client.
  [[nodiscard]] const std::array<std::string, 2>& interfaces() const { return interfaces_; }

 private:
  RelayNetwork(test::NetNamespacePair server_pair, test::NetNamespacePair client_pair);

  test::NetNamespacePair server_pair_;
  test::NetNamespacePair client_pair_;
  Host server_;
  Host client_;
  std::array<std::string, 2> interfaces_;
};

}  // namespace strictsend::relay
