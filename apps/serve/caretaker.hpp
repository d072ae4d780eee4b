// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "apps/support/unique_fd.hpp"
#include <strictsend/result.hpp>

namespace strictsend::serve {

/// A process beside a server that drops its rights: it keeps those that taking the XDP program off
/// the interface needs, which are nearly root's, and does nothing but that, once. It reads nothing
/// from the server but that it has ended, so whoever takes the server over has nothing to ask for.
///
///     serve (user, no capabilities) ──socket: a byte, or its end──▶ caretaker (root, four of them)
///                                   ◀──what went wrong, or nothing──
///
/// If the server is killed, it does its work all the same, unless another has taken the interface.
/// Owned and used by one thread.
class Caretaker {
 public:
  /// To be called while the process has one thread. `nic` is an EngineConfig's.
  static Result<Caretaker> start(const std::string& nic);
  Caretaker(Caretaker&&) noexcept;
  Caretaker& operator=(Caretaker&&) = delete;
  ~Caretaker();  ///< like `finish`

  /// After the engine's stop: the interface is cleared. Waits for it, for seconds at most.
  Result<void> finish();

 private:
  Caretaker(app::UniqueFd socket, pid_t pid) : socket_(std::move(socket)), pid_(pid) {}

  app::UniqueFd socket_;
  pid_t pid_ = -1;  // -1: it has ended, or this object has been moved from
};

}  // namespace strictsend::serve
