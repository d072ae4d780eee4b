// SPDX-License-Identifier: Apache-2.0
// The sockets on which statistics are told, and the thread that answers, with real clients.
#include "apps/serve/statistics/statistics_server.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "apps/serve/statistics/json_document.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::statistics {
namespace {

using namespace std::chrono_literals;
using app::UniqueFd;

UniqueFd connect_unix(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fd.reset();
  return fd;
}

UniqueFd connect_loopback(std::uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fd.reset();
  return fd;
}

/// To the end of the stream; a server that never ends it fails the test by the time-out.
std::string read_all(const UniqueFd& fd) {
  const timeval limit{60, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  std::string all;
  char block[65536];
  ssize_t got = 0;
  while ((got = ::recv(fd.get(), block, sizeof block, 0)) > 0)
    all.append(block, static_cast<std::size_t>(got));
  EXPECT_EQ(got, 0) << std::strerror(errno);
  return all;
}

void say(const UniqueFd& fd, const std::string& bytes) {
  EXPECT_EQ(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(bytes.size()));
}

const std::string good_request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

std::size_t descriptors_open() {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

/// Until there are no more than so many.
bool wait_for_descriptors(std::size_t count) {
  const auto limit = std::chrono::steady_clock::now() + 60s;
  while (descriptors_open() > count && std::chrono::steady_clock::now() < limit)
    std::this_thread::sleep_for(1ms);
  return descriptors_open() <= count;
}

class StatisticsServerTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::string path() const { return directory_.path("stats.sock"); }

  /// With limits that no machine is too slow for, unless a test wants others.
  static StatisticsLimits patient() {
    StatisticsLimits limits;
    limits.client_timeout = 60s;
    return limits;
  }
  void start(const StatisticsLimits& limits = patient(), std::size_t queues = 1) {
    auto on_path = UnixListener::bind(path());
    ASSERT_TRUE(on_path) << on_path.error().message();
    auto on_port = LoopbackListener::bind({});
    ASSERT_TRUE(on_port) << on_port.error().message();
    port_ = on_port->endpoint().port;
    auto started = StatisticsServer::start(
        std::move(*on_path), std::move(*on_port),
        [this, queues] {
          ServerStatus status;
          status.queues.resize(queues);
          status.engine.splices_submitted = ++samples_;
          return status;
        },
        limits);
    ASSERT_TRUE(started) << started.error().message();
    server_ = std::move(*started);
  }
  [[nodiscard]] Result<ServerStatus> document() const {
    return parse_document(read_all(connect_unix(path())));
  }
  [[nodiscard]] std::string metrics() const {
    const UniqueFd client = connect_loopback(port_);
    say(client, good_request);
    return read_all(client);
  }

  test::TempDir directory_;
  std::uint16_t port_ = 0;
  std::uint64_t samples_ = 0;  // the statistics thread's
  std::unique_ptr<StatisticsServer> server_;
};

TEST_F(StatisticsServerTest, tells_a_document_and_the_end) {
  start();
  const Result<ServerStatus> told = document();
  ASSERT_TRUE(told) << told.error().message();
  EXPECT_GE(told->engine.splices_submitted, 1U);
}

TEST_F(StatisticsServerTest, answers_prometheus) {
  start();
  const std::string answer = metrics();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_NE(answer.find("\nstrictsend_engine_splices_submitted_total "), std::string::npos);
}

TEST_F(StatisticsServerTest, gives_the_whole_answer_to_who_sends_more_than_it_reads) {
  start();
  const UniqueFd client = connect_loopback(port_);
  say(client, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345 and more");
  EXPECT_TRUE(read_all(client).starts_with("HTTP/1.1 405 "));
  const UniqueFd local = connect_unix(path());
  say(local, "what nobody asked for");
  EXPECT_TRUE(parse_document(read_all(local)));
}

TEST_F(StatisticsServerTest, sends_long_documents_to_slow_readers) {
  // More than a socket's buffer takes at once.
  start(patient(), 700);
  const UniqueFd client = connect_unix(path());
  EXPECT_TRUE(document()) << "nobody waits for the first one";
  const Result<ServerStatus> told = parse_document(read_all(client));
  ASSERT_TRUE(told) << told.error().message();
  EXPECT_EQ(told->queues.size(), 700U);
}

TEST_F(StatisticsServerTest, clients_that_hang_keep_nobody_else_out) {
  StatisticsLimits limits = patient();
  limits.clients_max = 4;
  start(limits, 700);
  std::vector<UniqueFd> hanging;
  for (int i = 0; i < 40; ++i) {
    hanging.push_back(connect_unix(path()));
    hanging.push_back(connect_loopback(port_));
    say(hanging.back(), "GET /met");
  }
  EXPECT_TRUE(document());
  EXPECT_TRUE(metrics().starts_with("HTTP/1.1 200 "));
}

TEST_F(StatisticsServerTest, clients_that_hang_are_let_go_of) {
  StatisticsLimits limits;
  limits.client_timeout = 20ms;
  start(limits, 700);
  EXPECT_EQ(read_all(connect_loopback(port_)), "") << "the end, without an answer";
  const std::size_t before = descriptors_open();
  const UniqueFd takes_nothing = connect_unix(path());
  const UniqueFd never_ends = connect_loopback(port_);
  say(never_ends, good_request);
  char first = 0;
  EXPECT_EQ(::recv(takes_nothing.get(), &first, 1, MSG_PEEK), 1) << "it was taken";
  EXPECT_TRUE(wait_for_descriptors(before + 2)) << "those at our ends";
  EXPECT_FALSE(parse_document(read_all(takes_nothing))) << "cut off in the middle";
}

TEST_F(StatisticsServerTest, many_clients_leave_nothing_behind) {
  start();
  ASSERT_TRUE(document());
  const std::size_t before = descriptors_open();
  for (int i = 0; i < 200; ++i) {
    connect_unix(path());  // goes without reading
    EXPECT_TRUE(metrics().starts_with("HTTP/1.1 200 "));
    EXPECT_TRUE(document());
  }
  EXPECT_TRUE(wait_for_descriptors(before));
}

TEST_F(StatisticsServerTest, removes_its_socket_at_the_end) {
  start();
  const UniqueFd client = connect_loopback(port_);
  struct stat status {};
  ASSERT_EQ(::lstat(path().c_str(), &status), 0);
  EXPECT_TRUE(S_ISSOCK(status.st_mode));
  EXPECT_EQ(status.st_mode & 07777U, 0660U);
  server_.reset();
  EXPECT_NE(::lstat(path().c_str(), &status), 0);
  EXPECT_FALSE(connect_loopback(port_).valid());
}

TEST_F(StatisticsServerTest, leaves_a_successors_socket_alone) {
  start();
  std::filesystem::remove(path());
  auto successor = UnixListener::bind(path());
  ASSERT_TRUE(successor) << successor.error().message();
  server_.reset();
  EXPECT_TRUE(std::filesystem::exists(path()));
}

TEST_F(StatisticsServerTest, takes_the_place_of_a_stale_socket) {
  {
    const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path().c_str(), path().size());
    ASSERT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(fd.get(), 1), 0);
  }
  start();
  EXPECT_TRUE(document());
}

TEST_F(StatisticsServerTest, takes_nothing_elses_place) {
  std::ofstream(path()) << "precious";
  const auto over_file = UnixListener::bind(path());
  ASSERT_FALSE(over_file);
  EXPECT_EQ(over_file.error().errno_value, EEXIST);
  EXPECT_EQ(std::filesystem::file_size(path()), 8U);
  std::filesystem::remove(path());

  start();
  const auto over_server = UnixListener::bind(path());
  ASSERT_FALSE(over_server);
  EXPECT_EQ(over_server.error().errno_value, EADDRINUSE);
  EXPECT_TRUE(document()) << "which goes on";
}

TEST(UnixListeners, say_what_is_wrong_with_a_path) {
  const auto nowhere = UnixListener::bind("/nonexistent/stats.sock");
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().errno_value, ENOENT);
  EXPECT_NE(nowhere.error().hint.find("directory"), std::string::npos);
  const auto too_long = UnixListener::bind("/tmp/" + std::string(200, 'x'));
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().errno_value, ENAMETOOLONG);
  EXPECT_FALSE(UnixListener::bind(""));
}

TEST(LoopbackEndpoints, are_ports_of_this_machine_alone) {
  EXPECT_EQ(parse_loopback_endpoint("9100")->address, (IpAddress{127, 0, 0, 1}));
  EXPECT_EQ(parse_loopback_endpoint("9100")->port, 9100);
  EXPECT_EQ(parse_loopback_endpoint("127.1.2.3:80")->address, (IpAddress{127, 1, 2, 3}));
  EXPECT_EQ(parse_loopback_endpoint("[::1]:0")->address, parse_ip_address("::1"));
  for (const char* text : {"", "x", "65536", "-1", ":9100", "127.0.0.1", "127.0.0.1:", "::1:9100",
                           "[127.0.0.1]:9100", "[::1]", "localhost:9100", "[]:1"})
    EXPECT_FALSE(parse_loopback_endpoint(text)) << text;
  for (const char* text :
       {"0.0.0.0:9100", "10.0.0.1:9100", "[::]:9100", "[::ffff:127.0.0.1]:1", "[fe80::1]:9100"}) {
    const auto refused = parse_loopback_endpoint(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_NE(refused.error().find("is not a loopback address"), std::string::npos)
        << refused.error();
  }
}

TEST(LoopbackListeners, on_a_port_that_is_taken_say_so) {
  const auto first = LoopbackListener::bind({});
  ASSERT_TRUE(first) << first.error().message();
  EXPECT_NE(first->endpoint().port, 0);
  const auto second = LoopbackListener::bind(first->endpoint());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().errno_value, EADDRINUSE);
  EXPECT_NE(second.error().hint.find("another port"), std::string::npos);
}

}  // namespace
}  // namespace strictsend::statistics
