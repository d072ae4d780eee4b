// SPDX-License-Identifier: Apache-2.0
// The relay between two kernels: what it carries, what it loses, how long it takes at least.
#include "tests/relay/relay.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sched.h>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/assert.hpp"
#include "tests/relay/relay_network.hpp"

namespace strictsend::relay {
namespace {

constexpr std::uint16_t port = 4'000;

sockaddr_in address_of(const RelayNetwork::Host& host) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  STRICTSEND_ASSERT(::inet_pton(AF_INET, host.address.c_str(), &address.sin_addr) == 1);
  return address;
}

/// A UDP socket of one host, connected to the other.
UniqueFd socket_at(const RelayNetwork::Host& host, const RelayNetwork::Host& other) {
  UniqueFd fd;
  std::thread([&] {
    STRICTSEND_ASSERT(::setns(host.namespace_fd, CLONE_NEWNET) == 0);
    fd = UniqueFd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  }).join();
  const sockaddr_in own = address_of(host);
  const sockaddr_in peer = address_of(other);
  const timeval patience{.tv_sec = 5, .tv_usec = 0};
  const int on = 1;
  STRICTSEND_ASSERT(
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0 &&
      ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&peer), sizeof peer) == 0 &&
      ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
      ::setsockopt(fd.get(), IPPROTO_IP, IP_RECVTOS, &on, sizeof on) == 0);
  return fd;
}

struct Datagram {
  std::string text;
  unsigned ecn = 0;
  bool operator==(const Datagram&) const = default;
};

void send(const UniqueFd& socket, const std::string& text) {
  ASSERT_EQ(::send(socket.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
}

/// The next one that comes; empty after five seconds without any.
std::optional<Datagram> receive(const UniqueFd& socket) {
  std::array<char, 2048> buffer;
  iovec piece{buffer.data(), buffer.size()};
  alignas(cmsghdr) std::array<std::byte, 64> control;
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t bytes = ::recvmsg(socket.get(), &message, 0);
  if (bytes < 0) return std::nullopt;
  Datagram datagram{.text = std::string(buffer.data(), static_cast<std::size_t>(bytes))};
  const cmsghdr* tos = CMSG_FIRSTHDR(&message);
  if (tos != nullptr && tos->cmsg_type == IP_TOS)
    datagram.ecn =
        std::to_integer<unsigned>(*reinterpret_cast<const std::byte*>(CMSG_DATA(tos))) & 3;
  return datagram;
}

class RelayTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = test::NetNamespacePair::unavailable()) GTEST_SKIP() << *reason;
    auto net = RelayNetwork::create();
    ASSERT_TRUE(net) << net.error().message();
    net_.emplace(std::move(*net));
    server_ = socket_at(net_->server(), net_->client());
    client_ = socket_at(net_->client(), net_->server());
  }

  /// The relay, and neighbours that know each other: what is measured later has no ARP before it.
  void start(const std::array<LinkSetup, 2>& links) {
    auto warm = Relay::start({.interfaces = net_->interfaces()});
    ASSERT_TRUE(warm) << warm.error().message();
    ASSERT_TRUE(ping({"-c", "1"}));
    warm->reset();
    auto relay = Relay::start({.interfaces = net_->interfaces(), .links = links});
    ASSERT_TRUE(relay) << relay.error().message();
    relay_ = std::move(*relay);
  }

  std::optional<std::string> ping(const std::vector<std::string>& options) {
    std::vector<std::string> argv = {"ping", "-W", "5"};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.push_back(net_->server().address);
    const test::CommandResult result = test::run_command(argv, net_->client().namespace_fd);
    if (result.exit_code != 0) return std::nullopt;
    return result.output;
  }

  std::optional<RelayNetwork> net_;
  UniqueFd server_;
  UniqueFd client_;
  std::unique_ptr<Relay> relay_;
};

TEST_F(RelayTest, carries_datagrams_of_every_size_both_ways_unchanged_and_in_order) {
  start({});
  for (const std::size_t bytes : {1U, 100U, 1'472U}) {
    for (char mark = 'a'; mark <= 'z'; ++mark) {
      send(server_, std::string(bytes, mark));
      send(client_, std::string(bytes, mark));
    }
    for (char mark = 'a'; mark <= 'z'; ++mark) {
      EXPECT_EQ(receive(client_), (Datagram{.text = std::string(bytes, mark)}));
      EXPECT_EQ(receive(server_), (Datagram{.text = std::string(bytes, mark)}));
    }
  }
  const auto counters = relay_->stop();
  for (const DirectionCounters& direction : counters) {
    EXPECT_GE(direction.packets_forwarded, 3U * 26U);
    EXPECT_EQ(direction.packets_forwarded, direction.link.packets_offered);
    EXPECT_EQ(direction.bytes_forwarded, direction.link.bytes_offered);
    EXPECT_EQ(direction.packets_unfit + direction.packets_missed + direction.packets_not_sent +
                  direction.packets_homeless,
              0U);
  }
}

TEST_F(RelayTest, a_round_trip_takes_both_delays_at_least) {
  start({LinkSetup{.delay = milliseconds(30)}, LinkSetup{.delay = milliseconds(10)}});
  const auto output = ping({"-c", "3", "-i", "0.05"});
  ASSERT_TRUE(output);
  const std::size_t at = output->find("min/avg/max");
  ASSERT_NE(at, std::string::npos) << *output;
  double min_ms = 0;
  ASSERT_EQ(std::sscanf(output->c_str() + output->find('=', at), "= %lf", &min_ms), 1) << *output;
  EXPECT_GE(min_ms, 40);
}

TEST_F(RelayTest, one_direction_may_lose_everything_while_the_other_loses_nothing) {
  start({LinkSetup{.loss_ppm = 1'000'000}, LinkSetup{}});
  for (int i = 0; i < 20; ++i) {
    send(server_, "lost");
    send(client_, std::to_string(i));
  }
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(receive(server_), (Datagram{.text = std::to_string(i)}));
  const auto counters = relay_->stop();
  EXPECT_GE(counters[0].link.packets_lost, 20U);
  EXPECT_EQ(counters[0].packets_forwarded, 0U);
  EXPECT_EQ(counters[1].link.packets_lost, 0U);
}

TEST_F(RelayTest, a_full_queue_drops_the_tail_of_a_burst) {
  // 320 ms for each: the burst is over before a second one has left.
  const LinkSetup slow{.rate_bits_second = 25'000, .queue_packets_max = 3};
  start({slow, LinkSetup{}});
  for (int i = 0; i < 10; ++i)
    send(server_, std::string(958, static_cast<char>('0' + i)));
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(receive(client_), (Datagram{.text = std::string(958, static_cast<char>('0' + i))}));
  const auto counters = relay_->stop();
  EXPECT_GE(counters[0].link.packets_overflowed, 1U);
  EXPECT_EQ(counters[0].link.packets_overflowed + counters[0].packets_forwarded,
            counters[0].link.packets_offered);
}

TEST_F(RelayTest, rfc3168_5_marks_what_waits_long_and_may_be_marked) {
  // A packet that finds another one queued is marked; each takes 33 ms.
  const LinkSetup slow{.rate_bits_second = 250'000, .ecn_threshold_bytes = 500};
  start({slow, LinkSetup{}});
  const int ect = 2;
  ASSERT_EQ(::setsockopt(server_.get(), IPPROTO_IP, IP_TOS, &ect, sizeof ect), 0);
  for (int i = 0; i < 5; ++i)
    send(server_, std::string(1'000, 'e'));
  unsigned marked = 0;
  for (int i = 0; i < 5; ++i) {
    const auto datagram = receive(client_);
    ASSERT_TRUE(datagram) << "the header checksum is wrong, or the relay is";
    EXPECT_TRUE(datagram->ecn == 2 || datagram->ecn == 3) << datagram->ecn;
    marked += datagram->ecn == 3 ? 1U : 0U;
  }
  EXPECT_GT(marked, 0U);
  const int not_ect = 0;
  ASSERT_EQ(::setsockopt(server_.get(), IPPROTO_IP, IP_TOS, &not_ect, sizeof not_ect), 0);
  for (int i = 0; i < 5; ++i)
    send(server_, std::string(1'000, 'n'));
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(receive(client_), (Datagram{.text = std::string(1'000, 'n'), .ecn = 0}));
  EXPECT_EQ(relay_->stop()[0].link.packets_marked, marked);
}

TEST_F(RelayTest, counts_what_an_end_with_offloads_sends_and_no_wire_carries) {
  start({});
  const test::CommandResult done = test::run_command(
      {"ethtool", "-K", net_->server().interface_name, "tx", "on"}, net_->server().namespace_fd);
  ASSERT_EQ(done.exit_code, 0) << done.output;
  send(server_, "without a sum");
  send(client_, "with a sum");
  EXPECT_EQ(receive(server_), Datagram{.text = "with a sum"});
  const auto counters = relay_->stop();
  EXPECT_EQ(counters[0].packets_unfit, 1U);
  EXPECT_EQ(counters[1].packets_unfit, 0U);
}

TEST_F(RelayTest, an_interface_that_is_not_there_is_an_error_that_names_it) {
  const auto relay = Relay::start({.interfaces = {net_->interfaces()[0], "ss-nowhere"}});
  ASSERT_FALSE(relay);
  EXPECT_NE(relay.error().message().find("ss-nowhere"), std::string::npos);
}

}  // namespace
}  // namespace strictsend::relay
