// SPDX-License-Identifier: Apache-2.0
// `serve` as a service: what it tells the service manager (sd_notify(3)), and the installed unit.
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/unique_fd.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::test {
namespace {

/// The service manager's end.
class NotifySocket {
 public:
  explicit NotifySocket(const std::string& name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, sizeof address.sun_path - 1);
    if (name[0] == '@') address.sun_path[0] = '\0';
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address),
                     static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size())),
              0);
  }
  /// The next message; empty if none comes.
  std::string next() {
    pollfd wait{fd_.get(), POLLIN, 0};
    if (::poll(&wait, 1, 30'000) != 1) return {};
    std::array<char, 4096> text{};
    const ssize_t count = ::recv(fd_.get(), text.data(), text.size(), 0);
    return {text.data(), count > 0 ? static_cast<std::size_t>(count) : 0};
  }

 private:
  UniqueFd fd_{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
};

class Service : public ::testing::TestWithParam<bool> {
 protected:
  std::vector<std::string> command() const {
    return {"env",
            "NOTIFY_SOCKET=" + name_,
            STRICTSEND_PROGRAM,
            "serve",
            "--nic",
            "discard:",
            "--address",
            "192.0.2.1",
            "--cache",
            "16M",
            "--root",
            folder_.path(),
            "--drain-timeout",
            "1500ms"};
  }
  TempDir folder_;
  std::string name_ =
      GetParam() ? "@strictsend-test" + folder_.path() : folder_.path("notify.socket");
};

TEST_P(Service, tells_when_it_serves_and_when_it_stops) {
  NotifySocket manager(name_);
  auto server = ChildProcess::spawn(command());
  ASSERT_TRUE(server) << server.error().message();
  EXPECT_EQ(manager.next(), "READY=1\nSTATUS=serving http://192.0.2.1:80/") << server->output();
  server->signal(SIGTERM);
  EXPECT_EQ(manager.next(), "STOPPING=1\nSTATUS=finishing responses, for 1.5 s at most");
  const auto ended = server->wait();
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->exit_code, 0) << ended->output;
}

TEST_P(Service, serves_also_where_nobody_listens) {
  auto server = ChildProcess::spawn(command());
  ASSERT_TRUE(server) << server.error().message();
  EXPECT_TRUE(server->wait_for_output("serving http")) << server->output();
  server->signal(SIGTERM);
  const auto ended = server->wait();
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->exit_code, 0) << ended->output;
}

INSTANTIATE_TEST_SUITE_P(Over, Service, ::testing::Bool(), [](const auto& over) {
  return over.param ? "an_abstract_socket" : "a_socket_of_a_path";
});

}  // namespace
}  // namespace strictsend::test
