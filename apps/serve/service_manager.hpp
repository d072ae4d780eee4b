// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "apps/support/unique_fd.hpp"

namespace strictsend::serve {

/// Who has started the server as a service and waits to hear how it is: systemd with Type=notify,
/// by the protocol of sd_notify(3), one datagram for each message. Where nobody waits, which the
/// environment tells (NOTIFY_SOCKET), nothing is said.
///
/// One thread's. Nothing waits: a message that is not taken at once is lost.
class ServiceManager {
 public:
  /// Reads the environment, and takes the variable out, so that no child speaks for the server. To
  /// be called while the process has one thread.
  static ServiceManager from_environment();

  /// Serving has begun; `status` is what it does, in a line for people.
  void ready(std::string_view status) const;
  /// It is ending.
  void stopping(std::string_view status) const;
  void status(std::string_view status) const;
  [[nodiscard]] bool listens() const { return socket_.valid(); }

 private:
  void send(std::string_view message) const;

  std::string path_;  // "@…": abstract
  app::UniqueFd socket_;
};

}  // namespace strictsend::serve
