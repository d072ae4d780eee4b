// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

namespace strictsend::test {

/// How far an input got.
struct ScoreboardFuzzTrace {
  bool sacked = false;
  bool lost = false;
  bool sent_again = false;
  bool forgotten = false;  ///< what was SACKed
  bool unlost = false;
  bool starved = false;  ///< there was no run where one was wanted
};

/// Does to a Scoreboard what the input says, and to a map of single bytes beside it, and ends the
/// process if they come to differ. With too few runs the scoreboard may forget boundaries, but only
/// on the safe side: nothing counts as arrived that has not, nothing is sent less often or earlier.
ScoreboardFuzzTrace fuzz_scoreboard(std::span<const std::byte> bytes);

}  // namespace strictsend::test
