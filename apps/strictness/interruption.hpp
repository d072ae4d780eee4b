// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <poll.h>

#include "apps/support/event_sources.hpp"

namespace strictsend::strictness {

/// ECANCELED if a signal has come, or comes within `wait_ms`. The signal is left for others to see,
/// and for whoever takes it in the end.
inline Result<void> unless_stopped(const app::StopSignals& signals, int wait_ms = 0) {
  pollfd fd{signals.fd(), POLLIN, 0};
  if (::poll(&fd, 1, wait_ms) > 0) return fail("the run", ECANCELED, "stopped by a signal");
  return {};
}

}  // namespace strictsend::strictness
