// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "tests/relay/relay_link.hpp"

namespace strictsend::relay {

/// A wire between two interfaces, in the direction from the first to the second and back. Its bytes
/// are those of the Ethernet frame, without preamble and FCS.
struct RelaySetup {
  std::array<std::string, 2> interfaces;
  std::array<LinkSetup, 2> links;  ///< there, and back
  std::uint64_t seed = 1;
};

struct DirectionCounters {
  LinkCounters link;
  std::uint64_t packets_forwarded = 0;
  std::uint64_t bytes_forwarded = 0;
  /// More than a millisecond after they should have departed: the relay did not get a processor.
  std::uint64_t packets_late = 0;
  Duration lateness_max;
  // What the setup did not ask for:
  std::uint64_t packets_unfit = 0;   ///< not as on a wire: an end has its offloads on
  std::uint64_t packets_missed = 0;  ///< came faster than the relay took them
  std::uint64_t packets_not_sent = 0;
  std::uint64_t packets_homeless = 0;  ///< more were under way than there is memory for
};

/// Relays in real time on a thread of its own, from `start` until it is destroyed; what is under
/// way then is lost. The ends' interfaces must hand over packets as a wire would carry them:
/// ethtool -K IFACE tso off gso off gro off tx off. The kernel behind the relay's own two
/// interfaces should have no address on them; it sees what arrives, and drops it as another host's.
class Relay {
 public:
  /// The interfaces are those of the calling thread's network namespace.
  static Result<std::unique_ptr<Relay>> start(const RelaySetup& setup);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay();

  /// There, and back. From any thread; up to 200 ms old.
  [[nodiscard]] std::array<DirectionCounters, 2> counters() const;
  /// Ends the relaying; the last counters. Once.
  std::array<DirectionCounters, 2> stop();
  /// Processor time of the relay's thread, in which the kernel also carries what was sent to its
  /// receiver. While it relays.
  [[nodiscard]] Duration cpu_time() const;

 private:
  class Loop;
  explicit Relay(std::unique_ptr<Loop> loop, UniqueFd stop);

  UniqueFd stop_;  // an eventfd
  std::unique_ptr<Loop> loop_;
  std::thread thread_;
};

}  // namespace strictsend::relay
