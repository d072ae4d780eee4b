// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "tests/support/process.hpp"

namespace strictsend::test {

/// Two ends of a cable: a veth pair whose near end is in the caller's network namespace (where the
/// engine runs) and whose far end is in a namespace of its own (where real kernel peers run).
///
///      caller's namespace                      namespace ss-peer-N
///     ┌──────────────────────┐                ┌──────────────────────┐
///     │ ssNa  198.18.x.y/30  ├────── veth ────┤ ssNb  198.18.x.y+1   │
///     └──────────────────────┘                └──────────────────────┘
///
/// Owned by one test; its destructor removes both. Tests may run at the same time: each takes a
/// slot N of its own by binding an abstract unix socket, which the kernel releases even when the
/// test is killed; whoever gets the slot next first removes what such a test left behind.
/// Addresses are from 198.18.0.0/15, the range for benchmarks (RFC 2544 §C.2.2).
class NetNamespacePair {
 public:
  struct Options {
    std::uint32_t mtu_bytes = 1500;
    unsigned queues = 1;  ///< receive and transmit queues of each end
    /// False: the far end finishes the checksums of what it sends (`ethtool -K … tx off`), as a
    /// real wire would.
    bool peer_tx_offload = true;
    bool near_tx_offload = true;  ///< the same for the near end
  };

  /// What this machine lacks to make namespaces, or nothing; a test skips with it.
  [[nodiscard]] static std::optional<std::string> unavailable();

  static Result<NetNamespacePair> create(const Options& options);
  static Result<NetNamespacePair> create() { return create(Options{}); }

  NetNamespacePair(NetNamespacePair&&) noexcept = default;
  NetNamespacePair& operator=(NetNamespacePair&&) noexcept = default;
  NetNamespacePair(const NetNamespacePair&) = delete;
  NetNamespacePair& operator=(const NetNamespacePair&) = delete;
  ~NetNamespacePair();

  struct End {
    std::string interface_name;
    unsigned interface_index = 0;
    std::string address;  ///< "198.18.0.1"
    std::array<std::uint8_t, 4> ipv4{};
    std::array<std::uint8_t, 6> mac{};
  };
  [[nodiscard]] const End& near() const { return near_; }
  [[nodiscard]] const End& peer() const { return peer_; }
  [[nodiscard]] const std::string& namespace_name() const { return namespace_name_; }
  [[nodiscard]] int namespace_fd() const { return namespace_fd_.get(); }

  /// Runs a command at the far end, to its end: exit code and output.
  [[nodiscard]] CommandResult run_in_namespace(const std::vector<std::string>& argv,
                                               Duration limit = seconds(60)) const;
  /// Starts a program at the far end: a server, or a client that runs beside the test.
  [[nodiscard]] Result<ChildProcess> spawn_in_namespace(const std::vector<std::string>& argv) const;
  /// Runs `action` on a thread that is in the far end's namespace. Sockets made there stay there,
  /// whoever uses them later; and so does any thread that the action starts.
  void in_namespace(const std::function<void()>& action) const;

 private:
  NetNamespacePair() = default;
  void remove() const;

  UniqueFd slot_;  ///< the abstract socket: destroyed last
  std::string namespace_name_;
  UniqueFd namespace_fd_;
  End near_;
  End peer_;
};

}  // namespace strictsend::test
