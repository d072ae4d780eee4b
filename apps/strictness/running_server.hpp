// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <thread>

#include "apps/serve/server.hpp"

namespace strictsend::strictness {

/// A server's thread, stopped and joined by the destructor. The server outlives it.
class RunningServer {
 public:
  explicit RunningServer(serve::Server& server)
      : server_(server), thread_([&server] { static_cast<void>(server.run()); }) {}
  RunningServer(const RunningServer&) = delete;
  RunningServer& operator=(const RunningServer&) = delete;
  ~RunningServer() {
    server_.request_stop();
    thread_.join();
  }

 private:
  serve::Server& server_;
  std::thread thread_;
};

}  // namespace strictsend::strictness
