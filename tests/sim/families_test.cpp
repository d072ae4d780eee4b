// SPDX-License-Identifier: Apache-2.0
// A whole engine on the simulated NIC over IPv6 and in a VLAN: downloads, answers to strangers,
// routers that find packets too big, and the host that it is where no kernel stands behind the
// port.
#include <array>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sim/one_file_engine.hpp"
#include "tests/support/icmp_errors.hpp"

namespace strictsend::testing {
namespace {

using wire::NeighbourKind;
using wire::NeighbourPacket;

Ipv6Address v6(std::string_view text) {
  return parse_ip_address(text).value().v6();
}

struct Network {
  const char* name;
  bool is_v6;
  wire::VlanId vlan_id;
  bool linear;
};
void PrintTo(const Network& network, std::ostream* out) {
  *out << network.name;
}
const Network ipv6{"ipv6", true, std::nullopt, false};
const Network ipv6_linear{"ipv6_linear", true, std::nullopt, true};
const Network ipv4_vlan{"ipv4_vlan", false, 5, false};
const Network ipv6_vlan{"ipv6_vlan", true, 5, false};
const Network ipv6_vlan_linear{"ipv6_vlan_linear", true, 5, true};

class Families : public OneFileEngine, public ::testing::WithParamInterface<Network> {
 protected:
  void SetUp() override {
    const Network& network = GetParam();
    options.linear = network.linear;
    options.addresses.vlan_id = network.vlan_id;
    if (network.is_v6) {
      options.addresses.engine = v6("2001:db8::1");
      options.addresses.client = v6("2001:db8::2");
    }
  }

  void start(std::size_t file_bytes) {
    start_engine(file_bytes);
    if (HasFatalFailure()) return;
    engine->on_event = [this](const Event& event) {
      if (event.kind == Event::Kind::accepted) accepted = event;
      if (event.kind == Event::Kind::released) released = event;
    };
    engine->at_peer = [this](std::span<const std::byte> frame) { return look(frame); };
  }

  /// Every frame is looked at on its way to the client.
  bool look(std::span<const std::byte> frame) {
    if (const auto neighbour = wire::parse_neighbour_packet(frame)) {
      heard_neighbours.push_back(*neighbour);
      return true;
    }
    if (const auto echo = wire::parse_icmp_echo(frame)) {
      ++heard_echoes;
      return true;
    }
    const auto packet = wire::parse_tcp_packet(frame, nic::RxChecksum::unknown);
    if (!packet) return true;
    EXPECT_EQ(packet->vlan_id, options.addresses.vlan_id);
    EXPECT_EQ(packet->source, options.addresses.engine);
    if (frame.size() > longest_frame_bytes) longest_frame_bytes = frame.size();
    if (packet->flags.rst) ++resets;
    last_seq = packet->seq;
    last_frame.assign(frame.begin(), frame.end());
    return false;
  }

  void connect() {
    client = &engine->connect({.port = 40000});
    ASSERT_TRUE(engine->run_until([&] { return accepted.has_value(); }, seconds(60)));
  }
  void download() {
    auto snapshot = engine->cache().freeze(file, 0, content.size());
    ASSERT_TRUE(snapshot) << snapshot.error().message();
    engine->submit(accepted->connection, *snapshot, "header", "trailer", 1);
    ASSERT_TRUE(engine->run_until([&] { return released.has_value(); }, seconds(300)));
    EXPECT_EQ(released->result.error, 0);
    const std::string received(reinterpret_cast<const char*>(client->received().data()),
                               client->received().size());
    EXPECT_EQ(received, "header" + content + "trailer");
  }

  wire::FlowAddress from_client() const {
    const SimAddresses& at = options.addresses;
    return {at.client_mac, at.engine_mac, at.client, at.engine, 50000, at.engine_port, at.vlan_id};
  }
  void inject(const wire::FlowAddress& from, const wire::TcpSegmentHeader& segment) {
    std::array<std::byte, 256> frame{};
    const std::uint32_t length = wire::TcpHeaderTemplate(from).emit(frame, segment, 0);
    engine->port().peer().inject(std::span(frame).first(length));
  }

  SimClient* client = nullptr;
  std::optional<Event> accepted;
  std::optional<Event> released;
  std::vector<NeighbourPacket> heard_neighbours;
  std::vector<std::byte> last_frame;
  std::size_t longest_frame_bytes = 0;
  std::uint32_t last_seq = 0;
  int heard_echoes = 0;
  int resets = 0;
};

TEST_P(Families, a_download_arrives_whole_in_packets_of_the_mtu) {
  start(3'000'000);
  connect();
  EXPECT_EQ(accepted->peer_address, options.addresses.client);
  EXPECT_EQ(accepted->peer_port, 40000);
  download();
  EXPECT_EQ(longest_frame_bytes, wire::link_bytes(options.addresses.vlan_id) + 1500);
}

TEST_P(Families, a_download_arrives_whole_over_a_path_that_loses) {
  options.sim.to_peer.loss_ppm = 20'000;
  options.sim.from_peer.loss_ppm = 20'000;
  start(1'000'000);
  connect();
  download();
}

TEST_P(Families, a_download_arrives_whole_where_the_port_cuts_packets) {
  if (GetParam().linear) return;  // never asks for it
  options.sim.checksum_offload = true;
  options.sim.segmented_bytes_max = 65535;
  start(3'000'000);
  connect();
  download();
  EXPECT_EQ(longest_frame_bytes, wire::link_bytes(options.addresses.vlan_id) + 1500);
}

TEST_P(Families, rfc9293_3_10_7_1_a_segment_of_no_connection_is_answered_with_a_reset) {
  start(1000);
  inject(from_client(), {.seq = 1, .ack = 77, .flags = {.ack = true}});
  ASSERT_TRUE(engine->run_until([&] { return resets > 0; }, seconds(1)));
  EXPECT_EQ(last_seq, 77U);
}

TEST_P(Families, what_is_sent_in_another_vlan_is_not_ours) {
  start(1000);
  wire::FlowAddress from = from_client();
  from.vlan_id = from.vlan_id ? wire::VlanId{} : wire::VlanId{6};
  inject(from, {.seq = 1, .ack = 77, .flags = {.ack = true}});
  from.vlan_id = 7;
  inject(from, {.seq = 1, .ack = 77, .flags = {.ack = true}});
  engine->run_for(seconds(1));
  EXPECT_EQ(resets, 0);
  EXPECT_EQ(engine->port().stats().not_ours, 2U);
}

/// Of a router, about a segment that reached it.
std::vector<std::byte> too_big(std::span<const std::byte> frame, std::uint32_t seq_shift) {
  const auto family = wire::parse_ip_packet(frame).value().source.family();
  return test::packet_too_big(frame, 1400, wire::ip_header_bytes(family) + 8, seq_shift);
}

TEST_P(Families, rfc5927_4_a_router_is_heard_about_what_is_outstanding_alone) {
  start(1'000'000);
  connect();
  client->vanish();  // nothing more is acknowledged
  auto snapshot = engine->cache().freeze(file, 0, content.size());
  ASSERT_TRUE(snapshot) << snapshot.error().message();
  engine->submit(accepted->connection, *snapshot, {}, {}, 1);
  engine->run_for(milliseconds(50));
  const auto& counters = engine->loop().counters();
  const std::uint64_t invalid = counters.segments_invalid.get();
  const std::vector<std::byte> segment = last_frame;
  engine->port().peer().inject(too_big(segment, 0));
  engine->run_for(milliseconds(50));
  EXPECT_EQ(counters.path_mtu_messages.get(), 1U);
  EXPECT_EQ(counters.segments_invalid.get(), invalid);
  longest_frame_bytes = 0;
  engine->run_for(seconds(2));
  EXPECT_EQ(longest_frame_bytes, wire::link_bytes(options.addresses.vlan_id) + 1400);

  engine->port().peer().inject(too_big(segment, 10'000'000));  // never sent
  engine->port().peer().inject(too_big(segment, -10'000'000U));
  std::vector<std::byte> stranger = segment;
  stranger.at(wire::link_bytes(options.addresses.vlan_id) +
              wire::ip_header_bytes(options.addresses.engine.family()) + 3) ^= std::byte{1};
  engine->port().peer().inject(too_big(stranger, 0));  // of no connection
  engine->run_for(milliseconds(50));
  EXPECT_EQ(counters.path_mtu_messages.get(), 1U);
  EXPECT_EQ(counters.segments_invalid.get(), invalid + 3);
}

INSTANTIATE_TEST_SUITE_P(Networks, Families,
                         ::testing::Values(ipv6, ipv6_linear, ipv4_vlan, ipv6_vlan,
                                           ipv6_vlan_linear),
                         [](const auto& network) { return std::string(network.param.name); });

/// Where the engine owns the interface.
class HostFamilies : public Families {
 protected:
  void SetUp() override {
    Families::SetUp();
    options.sim.owns_interface = true;
  }
  void say(NeighbourPacket packet) {
    packet.vlan_id = options.addresses.vlan_id;
    std::array<std::byte, wire::neighbour_frame_bytes_max> frame{};
    const std::uint32_t length = wire::emit_neighbour_packet(frame, packet);
    engine->port().peer().inject(std::span(frame).first(length));
  }
  std::vector<NeighbourPacket> heard(NeighbourKind kind, const Ipv6Address& target) const {
    std::vector<NeighbourPacket> found;
    for (const NeighbourPacket& packet : heard_neighbours)
      if (packet.kind == kind && packet.target == target) found.push_back(packet);
    return found;
  }
};

TEST_P(HostFamilies, rfc4861_7_2_who_asks_for_our_address_is_told) {
  start(1000);
  engine->run_for(seconds(5));
  const Ipv6Address us = v6("2001:db8::1");
  EXPECT_EQ(heard(NeighbourKind::solicitation, us).size(), 1U) << "its probe at the start";
  EXPECT_EQ(heard(NeighbourKind::advertisement, us).size(), 2U) << "its announcements";
  heard_neighbours.clear();
  const NeighbourPacket question{.source_mac = options.addresses.client_mac,
                                 .destination_mac = wire::multicast_mac(wire::solicited_node(us)),
                                 .source = options.addresses.client.v6(),
                                 .destination = wire::solicited_node(us),
                                 .kind = NeighbourKind::solicitation,
                                 .target = us,
                                 .link_address = options.addresses.client_mac};
  say(question);
  ASSERT_TRUE(engine->run_until([&] { return !heard_neighbours.empty(); }, seconds(1)));
  const NeighbourPacket& answer = heard_neighbours.front();
  EXPECT_EQ(answer.kind, NeighbourKind::advertisement);
  EXPECT_EQ(answer.link_address, options.addresses.engine_mac);
  EXPECT_TRUE(answer.solicited && answer.overrides);
  EXPECT_EQ(answer.vlan_id, options.addresses.vlan_id);
  EXPECT_EQ(engine->loop().counters().arp_requests_answered.get(), 1U);
}

TEST_P(HostFamilies, rfc4443_4_2_ping_is_answered) {
  start(1000);
  const std::array<std::byte, 24> data{};
  const wire::IcmpEchoView echo{.source_mac = options.addresses.client_mac,
                                .destination_mac = options.addresses.engine_mac,
                                .vlan_id = options.addresses.vlan_id,
                                .source = options.addresses.client,
                                .destination = options.addresses.engine,
                                .identifier = 1,
                                .sequence = 2,
                                .data = data};
  std::array<std::byte, 128> frame{};
  const std::uint32_t length = wire::emit_icmp_echo(frame, echo);
  engine->port().peer().inject(std::span(frame).first(length));
  EXPECT_TRUE(engine->run_until([&] { return heard_echoes == 1; }, seconds(1)));
}

TEST_P(HostFamilies, a_silent_peer_is_asked_for_and_found_where_it_says_that_it_is) {
  start(1'000'000);
  connect();
  const nic::MacAddress elsewhere{2, 0, 0, 0, 0, 0x22};
  // Now that it has moved, nothing reaches it at its old MAC.
  client->move(elsewhere);
  engine->at_peer = [&](std::span<const std::byte> frame) {
    const auto packet = wire::parse_ip_packet(frame);
    if (const auto asked = wire::parse_neighbour_packet(frame);
        asked && asked->kind == NeighbourKind::solicitation &&
        asked->target == options.addresses.client.v6())
      say({.source_mac = elsewhere,
           .destination_mac = options.addresses.engine_mac,
           .source = asked->target,
           .destination = options.addresses.engine.v6(),
           .kind = NeighbourKind::advertisement,
           .target = asked->target,
           .solicited = true,
           .overrides = true,
           .link_address = elsewhere});
    return look(frame) || packet->destination_mac != elsewhere;
  };
  download();
  EXPECT_EQ(engine->loop().counters().flows_readdressed.get(), 1U);
  EXPECT_GE(engine->loop().counters().neighbour_requests.get(), 1U);
}

TEST_P(HostFamilies, a_gateway_is_asked_for_and_takes_what_goes_to_other_networks) {
  options.gateway6 = v6("fe80::1");
  options.addresses.client = v6("2001:db8:77::2");
  const nic::MacAddress router_mac{2, 0, 0, 0, 0, 0xfe};
  start(1'000'000);
  bool only_by_router = true;
  engine->at_peer = [&](std::span<const std::byte> frame) {
    if (const auto asked = wire::parse_neighbour_packet(frame);
        asked && asked->kind == NeighbourKind::solicitation && asked->target == v6("fe80::1"))
      say({.source_mac = router_mac,
           .destination_mac = options.addresses.engine_mac,
           .source = asked->target,
           .destination = options.addresses.engine.v6(),
           .kind = NeighbourKind::advertisement,
           .target = asked->target,
           .router = true,
           .solicited = true,
           .overrides = true,
           .link_address = router_mac});
    if (const auto packet = wire::parse_tcp_packet(frame, nic::RxChecksum::unknown))
      only_by_router = only_by_router && packet->destination_mac == router_mac;
    return look(frame);
  };
  engine->run_for(seconds(2));
  connect();
  download();
  EXPECT_TRUE(only_by_router);
}

INSTANTIATE_TEST_SUITE_P(Networks, HostFamilies, ::testing::Values(ipv6, ipv6_vlan),
                         [](const auto& network) { return std::string(network.param.name); });

}  // namespace
}  // namespace strictsend::testing
