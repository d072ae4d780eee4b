// SPDX-License-Identifier: Apache-2.0
// The server on an engine of kernel sockets: its loop, its workers, its stopping.
#include "apps/serve/server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include "tests/support/socket_engine.hpp"
#include "tests/unit/http_support.hpp"

namespace strictsend::serve {
namespace {

namespace fake = test::socket_engine;
using http::get;
using http::ParsedResponse;
using http::take_response;
using namespace std::chrono_literals;

/// A client on a blocking socket; a server that never answers fails the test by the receive
/// time-out.
class Client {
 public:
  Client() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval limit{60, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(fake::port());
    connected_ =
        ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }
  [[nodiscard]] bool connected() const { return connected_; }
  Client& say(const std::string& bytes) {
    EXPECT_EQ(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
    return *this;
  }
  /// The next response; status 0 when the connection ends before it.
  ParsedResponse hear() {
    while (true) {
      if (auto response = take_response(bytes_)) return *response;
      if (!receive()) return {};
    }
  }
  /// Reads to the end; true if nothing but what `hear` returned came.
  bool at_end() {
    while (receive()) {
    }
    return bytes_.empty();
  }
  /// Goes with a reset, as a client that is killed with bytes unread.
  void go() {
    const linger at_once{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    fd_.reset();
  }

 private:
  bool receive() {
    char block[65536];
    const ssize_t n = ::recv(fd_.get(), block, sizeof(block), 0);
    if (n > 0) bytes_.append(block, static_cast<std::size_t>(n));
    return n > 0;
  }
  app::UniqueFd fd_;
  bool connected_ = false;
  std::string bytes_;
};

class RecordingObserver final : public Observer {
 public:
  struct Seen {
    std::string target;
    IpAddress peer;
    http::TimePoint freeze_began;
    http::TimePoint submit_ended;
    std::uint64_t splice_id;
    bool released = false;
  };
  void on_submit(const Submission& s) override {
    seen.push_back(
        {std::string(s.target), s.peer_address, s.freeze_began, s.submit_ended, s.splice_id});
  }
  void on_released(std::uint64_t splice_id, const SpliceResult& result) override {
    for (Seen& one : seen)
      one.released = one.released || (one.splice_id == splice_id && result.error == 0);
  }
  std::vector<Seen> seen;  // the server's thread; read after it has ended
};

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    spdlog::set_level(spdlog::level::off);
    root_.file("hello.txt", "hello, world\n");
    root_.file("big.bin", std::string(8U << 20, 'b'));
    root_.file("slow.bin", "slow file");
    engine_config_.cache_bytes = 16U << 20;
    config_.root = root_.path();
  }
  ~ServerTest() override {
    if (thread_.joinable()) stop();
  }
  void start() {
    engine_ = Engine::open(engine_config_).value();
    auto server = Server::create(*engine_, config_);
    ASSERT_TRUE(server) << server.error().message();
    server_ = std::move(*server);
    thread_ = std::thread([this] {
      const Result<void> result = server_->run();
      ran_ = result.has_value();
      if (!ran_) ran_error_ = result.error().message();
    });
  }
  /// Stops, and holds the end against the balance.
  void stop() {
    server_->request_stop();
    join();
  }
  void join() {
    thread_.join();
    EXPECT_TRUE(ran_);
    conclude();
  }
  void conclude() {
    engine_->stop(0);
    server_->conclude();
    counters_ = server_->counters();
    server_.reset();
    engine_.reset();
    EXPECT_EQ(fake::snapshots(), 0);
  }
  static void wait_until(const std::function<bool()>& condition) {
    const auto limit = std::chrono::steady_clock::now() + 60s;
    while (!condition() && std::chrono::steady_clock::now() < limit)
      std::this_thread::sleep_for(1ms);
    ASSERT_TRUE(condition());
  }

  http::TemporaryRoot root_;
  EngineConfig engine_config_;
  ServerConfig config_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
  bool ran_ = false;
  std::string ran_error_;
  ServerCounters counters_;
};

TEST_F(ServerTest, serves_files_and_refusals_on_one_connection) {
  start();
  Client client;
  client.say(get("/hello.txt") + get("/missing") + get("/big.bin"));
  EXPECT_EQ(client.hear().body, "hello, world\n");
  EXPECT_EQ(client.hear().status, 404);
  EXPECT_EQ(client.hear().body, std::string(8U << 20, 'b'));
  stop();
  EXPECT_TRUE(client.at_end());
  EXPECT_EQ(counters_.requests_ok, 2U);
  EXPECT_EQ(counters_.requests_refused, 1U);
  EXPECT_EQ(counters_.requests_cut, 0U);
  EXPECT_EQ(counters_.files_loaded, 2U);
  EXPECT_EQ(counters_.files_open, 2U);
  EXPECT_EQ(counters_.connections_accepted, 1U);
  EXPECT_EQ(counters_.connections_open, 0U);
}

TEST_F(ServerTest, tells_what_it_counts_to_other_threads_while_it_serves) {
  start();
  Client client;
  client.say(get("/hello.txt")).hear();
  wait_until([this] { return server_->counters().requests_ok == 1; });
  const ServerCounters now = server_->counters();
  EXPECT_EQ(now.connections_open, 1U);
  EXPECT_EQ(now.responses_open, 0U);
  EXPECT_EQ(now.bytes_sent, now.bytes_acked);
  EXPECT_GT(now.bytes_sent, std::string("hello, world\n").size());
}

TEST_F(ServerTest, a_hot_file_is_loaded_once_and_a_changed_one_again) {
  start();
  Client client;
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(client.say(get("/hello.txt")).hear().status, 200);
  EXPECT_EQ(fake::loads(), 1);
  const std::string tag = client.say(get("/hello.txt")).hear().fields.at("ETag");
  root_.file("hello.txt", "hello, changed world\n");
  const ParsedResponse changed = client.say(get("/hello.txt")).hear();
  EXPECT_EQ(changed.body, "hello, changed world\n");
  EXPECT_NE(changed.fields.at("ETag"), tag);
  EXPECT_EQ(fake::loads(), 2);
}

TEST_F(ServerTest, a_file_that_was_replaced_by_another_is_not_served_from_the_cache) {
  start();
  Client client;
  EXPECT_EQ(client.say(get("/hello.txt")).hear().body, "hello, world\n");
  root_.file("new", "another file\n");
  std::filesystem::rename(root_.at("new"), root_.at("hello.txt"));
  EXPECT_EQ(client.say(get("/hello.txt")).hear().body, "another file\n");
  std::filesystem::remove(root_.at("hello.txt"));
  EXPECT_EQ(client.say(get("/hello.txt")).hear().status, 404);
}

/// Every tenth byte of a file, as far as one request may ask for them.
std::string many_ranges() {
  std::string field = "Range: bytes=0-0";
  for (std::size_t i = 1; i < http::ranges_max; ++i)
    field += fmt::format(",{0}-{0}", i * 10);
  return field + "\r\n";
}

TEST_F(ServerTest, a_response_of_many_pieces_arrives_whole_before_the_connection_closes) {
  root_.file("many", std::string(http::ranges_max * 10, 'x'));
  start();
  for (const int refusals : {0, 3}) {
    fake::refuse_submits(refusals);
    Client client;
    client.say(get("/many", many_ranges()) + get("/hello.txt", "Connection: close\r\n"));
    const ParsedResponse r = client.hear();
    EXPECT_EQ(r.status, 206);
    EXPECT_TRUE(r.body.ends_with("--\r\n"));
    EXPECT_EQ(client.hear().body, "hello, world\n");
    client.say(get("/hello.txt"));  // no longer heard
  }
  stop();
  EXPECT_EQ(counters_.requests_ok, 4U);
}

TEST_F(ServerTest, a_client_that_goes_in_the_middle_of_many_pieces_leaves_nothing_behind) {
  root_.file("many", std::string(http::ranges_max * 10, 'x'));
  start();
  for (int i = 0; i < 20; ++i) {
    Client client;
    client.say(get("/many", many_ranges()) + get("/many", many_ranges()));
  }
  stop();
  EXPECT_EQ(fake::snapshots(), 0);
}

TEST_F(ServerTest, ranges_are_parts_of_one_snapshot) {
  root_.file("digits", "0123456789");
  start();
  Client client;
  client.say(get("/digits", "Range: bytes=3-5\r\n") + get("/digits", "Range: bytes=8-,0-1\r\n") +
             get("/digits"));
  EXPECT_EQ(client.hear().body, "345");
  const std::string parts = client.hear().body;
  EXPECT_NE(parts.find("bytes 8-9/10\r\n\r\n89\r\n"), std::string::npos) << parts;
  EXPECT_NE(parts.find("bytes 0-1/10\r\n\r\n01\r\n"), std::string::npos) << parts;
  EXPECT_EQ(client.hear().body, "0123456789");
  stop();
  EXPECT_EQ(counters_.requests_ok, 3U);
}

TEST_F(ServerTest, responses_of_many_pieces_take_turns_and_keep_their_order) {
  std::string bytes;
  for (std::size_t i = 0; i < http::ranges_max * 10; ++i)
    bytes += static_cast<char>('a' + i / 10 % 26);
  root_.file("many", bytes);
  start();
  Client client;
  for (int round = 0; round < 3; ++round) {
    fake::refuse_submits(round * 5);
    client.say(get("/many", many_ranges()) + get("/missing") + get("/many", many_ranges()));
    for (const int status : {206, 404, 206}) {
      const ParsedResponse r = client.hear();
      EXPECT_EQ(r.status, status);
      if (status == 404) continue;
      std::size_t at = 0;
      for (std::size_t i = 0; i < http::ranges_max; ++i) {
        const std::string part =
            fmt::format("bytes {0}-{0}/{1}\r\n\r\n{2}\r\n--", i * 10, bytes.size(), bytes[i * 10]);
        at = r.body.find(part, at);
        ASSERT_NE(at, std::string::npos) << i;
      }
    }
  }
  EXPECT_LE(engine_->stats().splices_submitted, 3 * (2 * (http::ranges_max + 1) + 1));
  stop();
  EXPECT_EQ(counters_.requests_ok, 6U);
  EXPECT_EQ(counters_.requests_refused, 3U);
}

TEST_F(ServerTest, a_client_that_goes_between_ranges_is_counted_once) {
  root_.file("many", std::string(8U << 20, 'm'));
  start();
  Client client;
  std::string field = "Range: bytes=0-1000000";
  for (int i = 1; i < 7; ++i)
    field += fmt::format(",{}-{}", i * 1'000'001, (i + 1) * 1'000'001 - 1);
  client.say(get("/many", field + "\r\n"));
  wait_until([] { return fake::snapshots() > 1; });
  client.go();
  wait_until([] { return fake::snapshots() == 0; });
  stop();
  EXPECT_EQ(counters_.requests_cut, 1U);
  EXPECT_EQ(counters_.requests_ok, 0U);
}

TEST_F(ServerTest, directories_are_listed_where_that_is_wanted) {
  for (int i = 0; i < 2'000; ++i)
    root_.file(fmt::format("dir/file-with-a-rather-long-name-{:04}", i), "");
  config_.store.listing = true;
  start();
  Client client;
  EXPECT_EQ(client.say(get("/dir")).hear().status, 301);
  const ParsedResponse r = client.say(get("/dir/")).hear();
  EXPECT_EQ(r.status, 200);
  EXPECT_GT(r.body.size(), std::size_t{3} * Splice::max_inline_bytes);
  EXPECT_NE(r.body.find("file-with-a-rather-long-name-0999"), std::string::npos);
  EXPECT_TRUE(r.body.ends_with("</html>\n"));
}

std::string put(const std::string& target, const std::string& body,
                const std::string& fields = {}) {
  return "PUT " + target +
         " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         fields + "\r\n" + body;
}

TEST_F(ServerTest, what_is_stored_is_served_and_who_is_downloading_keeps_the_old_version) {
  config_.allow_put = true;
  start();
  Client downloading;
  downloading.say(get("/big.bin"));
  wait_until([] { return fake::snapshots() == 1; });
  Client client;
  EXPECT_EQ(client.say(put("/big.bin", std::string(100'000, 'n'))).hear().status, 204);
  EXPECT_EQ(client.say(get("/big.bin")).hear().body, std::string(100'000, 'n'));
  EXPECT_EQ(downloading.hear().body, std::string(8U << 20, 'b'));
  EXPECT_EQ(client.say(put("/new", "fresh", "Expect: 100-continue\r\n")).hear().status, 201);
  EXPECT_EQ(client.say(get("/new")).hear().body, "fresh");
  stop();
  EXPECT_EQ(counters_.requests_ok, 5U);
}

TEST_F(ServerTest, stores_only_what_the_conditions_want) {
  config_.allow_put = true;
  start();
  Client client;
  const std::string tag = client.say(get("/hello.txt")).hear().fields.at("ETag");
  EXPECT_EQ(client.say(put("/hello.txt", "x", "If-None-Match: *\r\n")).hear().status, 412);
  EXPECT_EQ(client.say(put("/hello.txt", "x", "If-Match: \"other\"\r\n")).hear().status, 412);
  EXPECT_EQ(client.say(put("/none", "x", "If-Match: *\r\n")).hear().status, 412);
  EXPECT_EQ(client.say(get("/hello.txt")).hear().body, "hello, world\n");
  EXPECT_EQ(client.say(put("/hello.txt", "x", "If-Match: " + tag + "\r\n")).hear().status, 204);
  EXPECT_EQ(client.say(put("/hello.txt", "y", "If-Match: " + tag + "\r\n")).hear().status, 412);
  EXPECT_EQ(client.say(put("/none", "x", "If-None-Match: *\r\n")).hear().status, 201);
}

TEST_F(ServerTest, of_clients_that_create_the_same_file_one_wins) {
  config_.allow_put = true;
  start();
  std::vector<std::thread> clients;
  std::atomic<int> created{0};
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([i, &created] {
      Client client;
      const int status = client
                             .say(put("/prize", std::string(10'000, static_cast<char>('a' + i)),
                                      "If-None-Match: *\r\n"))
                             .hear()
                             .status;
      EXPECT_TRUE(status == 201 || status == 412) << status;
      created += status == 201 ? 1 : 0;
    });
  }
  for (std::thread& client : clients)
    client.join();
  EXPECT_EQ(created, 1);
  EXPECT_EQ(std::filesystem::file_size(root_.at("prize")), 10'000U);
}

TEST_F(ServerTest, a_client_that_goes_during_its_put_leaves_nothing_behind) {
  config_.allow_put = true;
  start();
  const auto files = [this] {
    return std::distance(std::filesystem::directory_iterator(root_.path()), {});
  };
  const auto before = files();
  Client client;
  client.say("PUT /new HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" +
             std::string(50'000, 'x'));
  wait_until([&] { return files() == before + 1; });
  client.go();
  wait_until([&] { return files() == before; });
  Client stuck;
  stuck.say("PUT /new HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nx");
  wait_until([&] { return files() == before + 1; });
  config_.drain_timeout = 300ms;
  server_->request_stop();
  server_->request_stop();
  stuck.go();
  join();
  EXPECT_EQ(files(), before);
  EXPECT_EQ(counters_.requests_cut, 2U);
}

TEST_F(ServerTest, a_slow_load_stops_nobody_else) {
  start();
  fake::hold_slow_loads(true);
  Client patient;
  patient.say(get("/slow.bin") + get("/hello.txt"));
  wait_until([] { return fake::loads_held() == 1; });
  Client other;
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(other.say(get("/hello.txt")).hear().status, 200);
  EXPECT_EQ(other.say(get("/big.bin")).hear().body.size(), 8U << 20);
  EXPECT_EQ(fake::loads_held(), 1);
  fake::hold_slow_loads(false);
  EXPECT_EQ(patient.hear().body, "slow file");
  EXPECT_EQ(patient.hear().body, "hello, world\n");
}

TEST_F(ServerTest, a_client_that_goes_during_a_load_leaves_nothing_behind) {
  start();
  fake::hold_slow_loads(true);
  {
    Client hasty;
    hasty.say(get("/slow.bin"));
    wait_until([] { return fake::loads_held() == 1; });
  }
  fake::hold_slow_loads(false);
  Client other;
  EXPECT_EQ(other.say(get("/slow.bin")).hear().body, "slow file");
}

TEST_F(ServerTest, a_refused_submit_is_made_up_for) {
  start();
  fake::refuse_submits(3);
  Client client;
  client.say(get("/hello.txt") + get("/missing") + get("/big.bin"));
  EXPECT_EQ(client.hear().body, "hello, world\n");
  EXPECT_EQ(client.hear().status, 404);
  EXPECT_EQ(client.hear().body.size(), 8U << 20);
}

TEST_F(ServerTest, a_file_that_the_engine_finds_too_large_gets_503_that_says_so) {
  root_.file("huge", std::string(17U << 20, 'h'));
  start();
  Client client;
  const ParsedResponse r = client.say(get("/huge")).hear();
  EXPECT_EQ(r.status, 503);
  EXPECT_NE(r.body.find("larger than the server can send"), std::string::npos);
  EXPECT_EQ(r.fields.count("Retry-After"), 0U);
  EXPECT_EQ(client.say(get("/hello.txt")).hear().status, 200);
}

TEST_F(ServerTest, files_that_nobody_asks_for_make_room_for_others) {
  for (int i = 0; i < 6; ++i)
    root_.file("part" + std::to_string(i), std::string(6U << 20, static_cast<char>('0' + i)));
  start();
  Client client;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 6; ++i)
      EXPECT_EQ(client.say(get("/part" + std::to_string(i))).hear().body,
                std::string(6U << 20, static_cast<char>('0' + i)));
  }
}

TEST_F(ServerTest, a_file_that_has_grown_makes_room_for_its_new_version) {
  for (int i = 0; i < 3; ++i)
    root_.file("part" + std::to_string(i), std::string(5U << 20, static_cast<char>('0' + i)));
  start();
  Client client;
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(client.say(get("/part" + std::to_string(i))).hear().status, 200);
  root_.file("part0", std::string(7U << 20, 'n'));
  EXPECT_EQ(client.say(get("/part0")).hear().body, std::string(7U << 20, 'n'));
}

TEST_F(ServerTest, a_cache_full_of_what_is_being_sent_gets_503_with_retry_after) {
  root_.file("other.bin", std::string(12U << 20, 'o'));
  start();
  Client slow_reader;
  slow_reader.say(get("/big.bin"));
  Client client;
  // The first must be under way: its snapshot keeps the pages.
  wait_until([] { return fake::snapshots() == 1; });
  const ParsedResponse r = client.say(get("/other.bin")).hear();
  EXPECT_EQ(r.status, 503);
  EXPECT_EQ(r.fields.at("Retry-After"), "1");
  EXPECT_EQ(slow_reader.hear().body.size(), 8U << 20);
  // What was sent can leave now; the guard may take a moment to give the pages back.
  wait_until([&] { return client.say(get("/other.bin")).hear().status == 200; });
}

TEST_F(ServerTest, stopping_lets_downloads_finish_and_takes_no_new_ones) {
  start();
  Client downloading;
  downloading.say(get("/big.bin") + get("/hello.txt"));
  wait_until([] { return fake::snapshots() >= 1; });
  Client idle;
  server_->request_stop();
  EXPECT_TRUE(idle.at_end());
  EXPECT_EQ(downloading.hear().body.size(), 8U << 20);
  join();
  EXPECT_EQ(counters_.requests_cut, 0U);
}

TEST_F(ServerTest, stopping_gives_up_on_who_takes_nothing) {
  config_.drain_timeout = 300ms;
  start();
  Client stuck;
  stuck.say(get("/big.bin"));
  wait_until([] { return fake::snapshots() == 1; });
  stop();
  EXPECT_EQ(counters_.requests_ok, 0U);
  EXPECT_EQ(counters_.requests_cut, 1U);
}

TEST_F(ServerTest, every_request_that_was_read_is_counted_once) {
  config_.drain_timeout = 300ms;
  start();
  Client client;
  client.say(get("/hello.txt") + get("/missing") + get("/hello.txt"));
  for (int i = 0; i < 3; ++i)
    client.hear();

  fake::hold_slow_loads(true);
  Client goes_during_the_load;
  goes_during_the_load.say(get("/slow.bin"));
  wait_until([] { return fake::loads_held() == 1; });
  goes_during_the_load.go();
  wait_until([&] { return engine_->stats().connections_open == 1; });
  fake::hold_slow_loads(false);

  Client takes_nothing;
  takes_nothing.say(get("/big.bin"));
  wait_until([&] { return engine_->stats().splices_submitted == 4; });

  fake::refuse_submits(1'000'000);
  Client gets_nothing;
  gets_nothing.say(get("/hello.txt"));
  wait_until([] { return fake::submits_refused() > 0; });

  stop();
  EXPECT_EQ(counters_.requests_ok, 2U);
  EXPECT_EQ(counters_.requests_refused, 1U);
  EXPECT_EQ(counters_.requests_cut, 3U);
}

TEST_F(ServerTest, a_second_signal_does_not_wait) {
  config_.drain_timeout = 1h;
  Result<app::StopSignals> signals = app::StopSignals::create();
  ASSERT_TRUE(signals);
  config_.stop_signals = &*signals;
  start();
  Client stuck;
  stuck.say(get("/big.bin"));
  wait_until([] { return fake::snapshots() == 1; });
  ::kill(::getpid(), SIGTERM);
  ::kill(::getpid(), SIGINT);
  join();
}

TEST_F(ServerTest, ends_with_the_reason_when_the_device_is_lost) {
  start();
  Client stuck;
  stuck.say(get("/big.bin"));
  wait_until([] { return fake::snapshots() == 1; });
  fake::lose_device();
  thread_.join();
  EXPECT_FALSE(ran_);
  EXPECT_NE(ran_error_.find("No such device (ENODEV): it was removed"), std::string::npos)
      << ran_error_;
  conclude();
  EXPECT_EQ(counters_.requests_cut, 1U);
}

TEST_F(ServerTest, idle_connections_are_closed) {
  config_.limits.idle_timeout = 1ms;
  start();
  Client client;
  EXPECT_TRUE(client.at_end());
}

TEST_F(ServerTest, an_observer_learns_each_submits_interval) {
  RecordingObserver observer;
  config_.observer = &observer;
  start();
  const http::TimePoint before = std::chrono::steady_clock::now();
  Client client;
  client.say(get("/hello.txt?id=1") + get("/missing") + get("/hello.txt?id=2"));
  for (int i = 0; i < 3; ++i)
    client.hear();
  const http::TimePoint after = std::chrono::steady_clock::now();
  stop();
  ASSERT_EQ(observer.seen.size(), 2U);
  EXPECT_EQ(observer.seen[0].target, "/hello.txt?id=1");
  EXPECT_EQ(observer.seen[1].target, "/hello.txt?id=2");
  for (const auto& seen : observer.seen) {
    EXPECT_EQ(seen.peer, (Ipv4Address{127, 0, 0, 1}));
    EXPECT_LE(before, seen.freeze_began);
    EXPECT_LE(seen.freeze_began, seen.submit_ended);
    // Not the end of submit: the client may hear the bytes before submit has returned.
    EXPECT_LE(seen.freeze_began, after);
    EXPECT_TRUE(seen.released);
  }
}

TEST_F(ServerTest, each_response_has_its_line_in_the_access_log_once) {
  auto log = AccessLog::open(root_.at("access.log"));
  ASSERT_TRUE(log);
  config_.access_log = log->get();
  start();
  Client client;
  client.say(get("/hello.txt", "User-Agent: test/1\r\n") + get("/hello.txt", many_ranges()) +
             get("/missing"));
  for (int i = 0; i < 3; ++i)
    client.hear();
  stop();
  log->reset();
  std::ifstream file(root_.at("access.log"));
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);)
    lines.push_back(line);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_NE(lines[0].find("\"GET /hello.txt HTTP/1.1\" 200 13 \"-\" \"test/1\""), std::string::npos)
      << lines[0];
  EXPECT_NE(lines[1].find(" 206 "), std::string::npos) << lines[1];
  EXPECT_NE(lines[2].find("\"GET /missing HTTP/1.1\" 404 "), std::string::npos) << lines[2];
}

TEST_F(ServerTest, many_clients_at_once_each_get_their_own) {
  for (int i = 0; i < 16; ++i)
    root_.file("f" + std::to_string(i), std::string(10'000, static_cast<char>('a' + i)));
  start();
  std::vector<std::thread> clients;
  for (int i = 0; i < 16; ++i) {
    clients.emplace_back([i] {
      const std::string mine = "/f" + std::to_string(i);
      for (int round = 0; round < 5; ++round) {
        Client client;
        for (int k = 0; k < 5; ++k)
          client.say(get(mine));
        for (int k = 0; k < 5; ++k)
          EXPECT_EQ(client.hear().body, std::string(10'000, static_cast<char>('a' + i)));
      }
    });
  }
  for (std::thread& client : clients)
    client.join();
  stop();
  EXPECT_EQ(counters_.requests_ok, 16U * 25U);
}

TEST_F(ServerTest, cannot_be_made_without_its_root) {
  engine_ = Engine::open(engine_config_).value();
  config_.root = root_.at("nothing");
  const auto server = Server::create(*engine_, config_);
  ASSERT_FALSE(server);
  EXPECT_NE(server.error().hint.find("--root"), std::string::npos);
}

}  // namespace
}  // namespace strictsend::serve
