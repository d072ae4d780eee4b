// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.hpp"

namespace strictsend::bench {

struct TestpmdRun {
  double cpu_ns_per_packet = 0;  ///< of the forwarding thread
  std::uint64_t packets = 0;
};

/// Runs dpdk-testpmd in its txonly mode on a net_null port for so many seconds, one forwarding
/// thread, packets of the given segment lengths ("66,1448").
Result<TestpmdRun> run_testpmd(const std::string& segment_lengths, int seconds);

}  // namespace strictsend::bench
