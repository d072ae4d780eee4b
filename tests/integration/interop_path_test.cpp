// SPDX-License-Identifier: Apache-2.0
// Paths on the way to the client: with smaller links than both ends see, with marks instead of
// losses, and with losses, late packets and some that come twice.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/integration/interop_fixture.hpp"
#include "tests/relay/relay.hpp"

namespace strictsend::test {
namespace {

/// With something in between:
///
///     caller's namespace        middle                        far
///    ┌────────────────────┐    ┌─────────────────────────┐   ┌──────────────┐
///    │ ssNa  198.18.x.y+1 ├────┤ ssNb               ssMa ├───┤ ssMb  client │
///    └────────────────────┘    └─────────────────────────┘   └──────────────┘
class InteropPath : public Interop {
 protected:
  void SetUp() override {
    // As a wire would carry them.
    net_options_.peer_tx_offload = net_options_.near_tx_offload = false;
    ASSERT_NO_FATAL_FAILURE(Interop::SetUp());
    if (IsSkipped()) return;
    auto made = NetNamespacePair::create(net_options_);
    ASSERT_TRUE(made) << made.error().message();
    far_.emplace(std::move(*made));
    const CommandResult moved = run_command(
        {"ip", "link", "set", far_->near().interface_name, "netns", network_->namespace_name()});
    ASSERT_EQ(moved.exit_code, 0) << moved.output;
  }
  void TearDown() override { relay_.reset(); }

  [[nodiscard]] int client_namespace_fd() const override { return far_->namespace_fd(); }
  void must_in_the_middle(const std::string& shell_command) const {
    const CommandResult done = at_peer(shell_command);
    ASSERT_EQ(done.exit_code, 0) << shell_command << ": " << done.output;
  }

  /// A router whose link to the client takes no more than this, which the client does not know.
  /// Both families; the server's addresses are as in the IPv6 suites.
  void route_over(std::uint32_t far_mtu_bytes) {
    const std::string& server = network_->near().interface_name;
    const std::string& outer = network_->peer().interface_name;
    const std::string& inner = far_->near().interface_name;
    const std::string& client = far_->peer().interface_name;
    const std::string near6 = prefix6(*network_);
    const std::string far6 = prefix6(*far_);
    const auto add6 = [](const std::string& address, const std::string& device) {
      return "ip -6 addr add " + address + "/64 nodad dev " + device;
    };
    address6_ = near6 + "1";
    const CommandResult added = run_command({"sh", "-c", add6(address6_, server)});
    ASSERT_EQ(added.exit_code, 0) << added.output;
    // Without link-local addresses it asks for no neighbour of those whom it forwards for.
    must_in_the_middle(add6("fe80::1", outer) + " && " + add6("fe80::1", inner) +
                       " && ip link set " + inner + " mtu " + std::to_string(far_mtu_bytes) +
                       " up && ip addr add " + far_->near().address + "/30 dev " + inner + " && " +
                       add6(near6 + "2", outer) + " && " + add6(far6 + "1", inner) +
                       " && sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    must_at_client("ip route add default via " + far_->near().address + " && " +
                   add6(far6 + "2", client) + " && ip -6 route add default via " + far6 + "1");
  }

  /// A wire with a rate, a delay and mishaps. The client takes the middle's address.
  void relay_over(const relay::LinkSetup& there, const relay::LinkSetup& back) {
    const std::string& outer = network_->peer().interface_name;
    const std::string& inner = far_->near().interface_name;
    const std::string& client = far_->peer().interface_name;
    const std::string as_on_a_wire = " tso off gso off gro off tx off";
    must_in_the_middle("ip addr flush dev " + outer + " && ip link set " + inner +
                       " up && ethtool -K " + outer + as_on_a_wire + " && ethtool -K " + inner +
                       as_on_a_wire);
    must_at_client("ip addr flush dev " + client + " && ip addr add " + network_->peer().address +
                   "/30 dev " + client + " && ethtool -K " + client + as_on_a_wire);
    network_->in_namespace([&] {
      auto started =
          relay::Relay::start({.interfaces = {outer, inner}, .links = {there, back}, .seed = 1});
      ASSERT_TRUE(started) << started.error().message();
      relay_ = std::move(*started);
    });
  }

  static std::string prefix6(const NetNamespacePair& pair) {
    const auto& ipv4 = pair.near().ipv4;
    return "fd57:" + std::to_string(ipv4[2]) + ":" + std::to_string(ipv4[3]) + "::";
  }

  std::optional<NetNamespacePair> far_;
  std::unique_ptr<relay::Relay> relay_;
};
INSTANTIATE_TEST_SUITE_P(Ports, InteropPath, ::testing::Values("fragments"),
                         [](const auto& port) { return std::string(port.param); });

/// What happens to packets at the client's end of the cable.
class InteropMishap : public Interop {
 protected:
  void attach(const std::string& mishap) const {
    const std::string peer = network_->peer().interface_name;
    // tc mounts a bpffs on /sys/fs/bpf and leaves it there: not on this machine's.
    const CommandResult attached =
        at_peer("tc qdisc add dev " + peer + " clsact && unshare --mount tc filter add dev " +
                peer + " ingress bpf direct-action obj " MISHAPS_OBJECT " sec " + mishap);
    ASSERT_EQ(attached.exit_code, 0) << attached.output;
  }
};
INSTANTIATE_TEST_SUITE_P(Ports, InteropMishap, ::testing::Values("fragments"),
                         [](const auto& port) { return std::string(port.param); });

/// Packets of which size went out after a router had said what its link takes.
void expect_size_heard(const std::vector<std::uint32_t>& sent_bytes, std::uint32_t mtu_bytes) {
  const auto too_large = std::count_if(sent_bytes.begin(), sent_bytes.end(),
                                       [&](std::uint32_t bytes) { return bytes > mtu_bytes; });
  EXPECT_GT(too_large, 0);
  EXPECT_LT(too_large, 50) << "no more than what was under way";
  // Trying would find another size.
  EXPECT_GT(std::count(sent_bytes.begin(), sent_bytes.end(), mtu_bytes), 650);
}

TEST_P(InteropPath, packets_become_as_large_as_a_router_says_RFC1191_3) {
  ASSERT_NO_FATAL_FAILURE(route_over(1'333));
  ASSERT_NO_FATAL_FAILURE(serve());
  make_file("file", 1'000'000);
  EXPECT_EQ(curl_difference("file"), "");
  stop();
  expect_size_heard(sent_ip_bytes(), 1'333);
}

TEST_P(InteropPath, packets_become_as_large_as_a_router_says_RFC8201_4) {
  ASSERT_NO_FATAL_FAILURE(route_over(1'333));
  ASSERT_NO_FATAL_FAILURE(serve());
  make_file("file", 1'000'000);
  EXPECT_EQ(difference_of("file", "curl -6 -sSf --max-time 50 'http://[" + address6_ + "]/file'"),
            "");
  stop();
  std::vector<std::uint32_t> sent = numbers("tcp.srcport == 80 && tcp.len > 0", "ipv6.plen");
  for (std::uint32_t& bytes : sent)
    bytes += 40;  // the fixed header: RFC 8200 §3
  expect_size_heard(sent, 1'333);
}

TEST_P(InteropMishap, a_black_hole_is_left_by_smaller_packets_RFC8899_4_3) {
  ASSERT_NO_FATAL_FAILURE(attach("hole_1280"));
  ASSERT_NO_FATAL_FAILURE(serve());
  make_file("file", 1'000'000);
  EXPECT_EQ(curl_difference("file"), "");
  stop();
  const std::vector<std::uint32_t> sent = sent_ip_bytes();
  EXPECT_LT(std::count_if(sent.begin(), sent.end(), [](auto n) { return n > 1'280; }), 50);
  EXPECT_GT(std::count(sent.begin(), sent.end(), 1'200U), 800) << "BASE_PLPMTU";
}

TEST_P(InteropMishap, a_black_hole_below_the_base_is_left_too) {
  ASSERT_NO_FATAL_FAILURE(attach("hole_700"));
  ASSERT_NO_FATAL_FAILURE(serve());
  make_file("file", 300'000);
  EXPECT_EQ(curl_difference("file"), "");
  stop();
}

TEST_P(InteropMishap, packets_that_come_twice_cost_no_byte) {
  ASSERT_NO_FATAL_FAILURE(attach("twice"));
  ASSERT_NO_FATAL_FAILURE(serve());
  make_file("file", 3'000'000);
  EXPECT_EQ(curl_difference("file"), "");
  stop();
  EXPECT_GT(packets("tcp.dstport == 80 && tcp.options.sack_le", "frame.number").size(), 0U)
      << "RFC 2883: the client tells of them";
}

TEST_P(InteropPath, losses_and_late_packets_at_20_ms_cost_time_and_no_byte) {
  const relay::LinkSetup way{.rate_bits_second = 200'000'000,
                             .delay = milliseconds(10),
                             .loss_ppm = 10'000,
                             .reorder_ppm = 20'000,
                             .reorder_delay_max = milliseconds(5)};
  relay::LinkSetup back = way;
  back.loss_ppm = 2'000;
  ASSERT_NO_FATAL_FAILURE(relay_over(way, back));
  make_file("file", 1'500'000);
  for (const std::string control : {"cubic", "reno", "bbr"}) {
    ASSERT_NO_FATAL_FAILURE(serve({"--congestion", control}));
    EXPECT_EQ(curl_difference("file"), "") << control;
    EXPECT_EQ(stop().find(" 0 of them again"), std::string::npos) << control;
  }
  const auto counters = relay_->stop();
  EXPECT_GT(counters[0].link.packets_lost, 0U);
  EXPECT_GT(counters[0].link.packets_reordered, 0U);
  EXPECT_EQ(counters[0].packets_unfit + counters[1].packets_unfit, 0U);
}

TEST_P(InteropPath, marks_slow_us_down_in_place_of_losses_RFC3168_6_1_2) {
  must_at_client("sysctl -q -w net.ipv4.tcp_ecn=1");
  ASSERT_NO_FATAL_FAILURE(relay_over(
      {.rate_bits_second = 20'000'000, .delay = milliseconds(10), .ecn_threshold_bytes = 30'000},
      {.delay = milliseconds(10)}));
  ASSERT_NO_FATAL_FAILURE(serve());
  make_file("file", 1'500'000);
  EXPECT_EQ(curl_difference("file"), "");
  stop();
  EXPECT_GT(relay_->stop()[0].link.packets_marked, 0U);
  const std::string no_handshake = "tcp.flags.syn == 0 && ";
  EXPECT_GT(
      packets(no_handshake + "tcp.dstport == 80 && tcp.flags.ece == 1", "frame.number").size(), 0U)
      << "the client echoes the mark";
  EXPECT_GT(
      packets(no_handshake + "tcp.srcport == 80 && tcp.flags.cwr == 1", "frame.number").size(), 0U)
      << "and hears that we have heard";
}

}  // namespace
}  // namespace strictsend::test
