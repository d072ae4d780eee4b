// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace strictsend::cli {

/// What every command ends with.
enum ExitCode : int {
  exit_ok = 0,
  exit_failed = 1,  ///< it was understood and did not work
  exit_usage = 2,   ///< the command line was wrong; nothing was done
};

/// For a command that a signal ended before its work was done, as a shell would report it: 130
/// after Ctrl-C.
[[nodiscard]] constexpr int exit_by_signal(int number) {
  return 128 + number;
}

}  // namespace strictsend::cli
