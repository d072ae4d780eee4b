// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace strictsend::cli {

/// What every command ends with.
enum ExitCode : int {
  exit_ok = 0,
  exit_failed = 1,  ///< it was understood and did not work
  exit_usage = 2,   ///< the command line was wrong; nothing was done
};

}  // namespace strictsend::cli
