// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.hpp"
#include "tests/bench/cpu_time.hpp"
#include "tests/bench/interrupt.hpp"
#include "tests/bench/sender.hpp"
#include "tests/support/netns.hpp"

namespace strictsend::bench {

/// A veth pair, the offloads of its ends as they are to be.
struct Cable {
  test::NetNamespacePair net;
  bool default_offloads = false;

  /// Segmentation and receive offloads off at both ends, or all of them as the driver has them;
  /// checksum offload on or off at both ends.
  static Result<Cable> create(bool default_offloads, bool checksum_offload);
};

/// What one download took, measured from before its client is started until it has ended.
struct Download {
  double seconds = 0;  ///< by the client's clock, from connecting to the last byte
  CpuTime cpu;
  double elapsed_seconds = 0;         ///< that `cpu` is of
  double frames = 0;                  ///< sent over the cable
  double pages_rewritten_second = 0;  ///< what the writer achieved
  Sender::Counters counters;          ///< the difference
};

/// One curl at the far end fetches the file into /dev/null while `rewritten_share` of its pages are
/// rewritten per second. Fails unless every byte came. ECANCELED: interrupted.
Result<Download> download(const Cable& cable, const Sender& sender, double rewritten_share,
                          std::uint64_t seed, Interrupt& interrupt);

/// Fetches the file and compares every byte with `path`; nobody may write meanwhile.
Result<void> check_content(const Cable& cable, const std::string& path, Interrupt& interrupt);

}  // namespace strictsend::bench
