// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tests/support/sim_engine.hpp"

namespace strictsend::testing {

/// One seeded run of a whole engine on the simulated NIC with late DMA: random files, writers of
/// every kind, sends, losses, completions; every byte that leaves the device compared with what the
/// file was at its submission.
struct OracleOptions {
  std::uint64_t seed = 1;
  bool linear = false;
  int splices = 60;        ///< to be submitted, over all connections and datagram flows
  int datagram_flows = 0;  ///< beside the connections
  bool lossy = true;
  bool checksum_offload = false;
  bool segmentation = false;  ///< packets of up to 64 KiB, which the device cuts: with offload only
  bool ipv6_vlan = false;     ///< over IPv6 in a VLAN, with headers of other sizes
  MakeAdapter adapt;          ///< see SimEngine
};

struct OracleReport {
  /// The first thing that was wrong, in words; nullopt: strict.
  std::optional<std::string> violation;
  std::uint64_t frames_checked = 0;
  std::uint64_t datagrams_checked = 0;
  std::uint64_t retransmissions = 0;
  std::uint64_t pages_preserved = 0;
  std::uint64_t pages_redirected = 0;
  std::uint64_t bytes_copied = 0;
  std::uint64_t packets_cut = 0;  ///< that left the device beyond those that it was handed

  /// Adds another run's counts to these.
  void add(const OracleReport& run) {
    frames_checked += run.frames_checked;
    datagrams_checked += run.datagrams_checked;
    retransmissions += run.retransmissions;
    pages_preserved += run.pages_preserved;
    pages_redirected += run.pages_redirected;
    bytes_copied += run.bytes_copied;
    packets_cut += run.packets_cut;
  }
};

OracleReport run_oracle(const OracleOptions& options);

}  // namespace strictsend::testing
