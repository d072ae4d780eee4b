// SPDX-License-Identifier: Apache-2.0
// An engine that owns its interface, and the network around it: ARP, ping, gateways that fail over
// and peers that move, while files are sent.
#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sim/one_file_engine.hpp"

namespace strictsend::testing {
namespace {

using nic::MacAddress;
using wire::ArpOperation;
using wire::ArpPacket;
using wire::broadcast_mac;

constexpr MacAddress our_mac{0x02, 0, 0, 0, 0, 0x01};
constexpr MacAddress client_mac{0x02, 0, 0, 0, 0, 0x02};
constexpr MacAddress new_client_mac{0x02, 0, 0, 0, 0, 0x22};
constexpr MacAddress router_mac{0x02, 0, 0, 0, 0, 0xfe};
constexpr MacAddress backup_router_mac{0x02, 0, 0, 0, 0, 0xfd};
constexpr MacAddress stranger_mac{0x02, 0, 0, 0, 0, 0x66};
constexpr Ipv4Address us{10, 0, 0, 1};
constexpr Ipv4Address client_address{10, 0, 0, 2};
constexpr Ipv4Address router{10, 0, 0, 254};
constexpr Ipv4Address far_away{198, 51, 100, 7};

/// The far end of the wire: stations that answer ARP for their addresses and take only frames that
/// are sent to them, and a client whose packets come from one of them.
class HostOnSim : public OneFileEngine, public ::testing::WithParamInterface<bool> {
 protected:
  struct Station {
    MacAddress mac;
    Ipv4Address address;
  };

  void SetUp() override {
    options.linear = GetParam();
    options.sim.owns_interface = true;
    options.sim.header_headroom_bytes = 32;
    // Slow enough that a download takes a while.
    options.sim.link_bits_per_second = 100'000'000;
  }

  void start(std::size_t file_bytes) {
    start_engine(file_bytes);
    if (HasFatalFailure()) return;
    engine->on_event = [this](const Event& event) {
      if (event.kind == Event::Kind::accepted) accepted.push_back(event.connection);
      if (event.kind == Event::Kind::released) released.push_back(event.result);
    };
    engine->at_peer = [this](std::span<const std::byte> frame) { return take(frame); };
  }

  /// True unless it is TCP for a station that is there.
  bool take(std::span<const std::byte> frame) {
    if (const auto arp = wire::parse_arp_packet(frame)) {
      heard_arp.push_back(*arp);
      for (const Station& station : stations) {
        const bool asked =
            arp->operation == ArpOperation::request && arp->target == station.address &&
            arp->target != arp->sender &&
            (arp->destination_mac == broadcast_mac || arp->destination_mac == station.mac);
        if (asked)
          say({.operation = ArpOperation::reply,
               .sender_mac = station.mac,
               .sender = station.address,
               .target_mac = arp->sender_mac,
               .target = arp->sender},
              arp->sender_mac);
      }
      return true;
    }
    if (const auto echo = wire::parse_icmp_echo(frame)) {
      heard_echoes.push_back(*echo);
      echo_data.assign(echo->data.begin(), echo->data.end());
      return true;
    }
    const auto packet = wire::parse_tcp_packet(frame, nic::RxChecksum::unknown);
    if (!packet) return true;
    const bool taken = std::any_of(stations.begin(), stations.end(), [&](const Station& station) {
      return station.mac == packet->destination_mac;
    });
    ++(taken ? segments_taken : segments_lost);
    if (taken) last_segment_to = packet->destination_mac;
    return !taken;
  }

  void say(ArpPacket packet, const MacAddress& to = broadcast_mac) {
    packet.source_mac = packet.sender_mac;
    packet.destination_mac = to;
    std::array<std::byte, wire::arp_frame_bytes> frame{};
    wire::emit_arp_packet(frame, packet);
    engine->port().peer().inject(frame);
  }

  void ping(std::span<const std::byte> data, const MacAddress& to = our_mac) {
    const wire::IcmpEchoView echo{.source_mac = client_mac,
                                  .destination_mac = to,
                                  .source = client_address,
                                  .destination = us,
                                  .identifier = 1,
                                  .sequence = 2,
                                  .data = data};
    std::vector<std::byte> frame(wire::frame_bytes(echo));
    wire::emit_icmp_echo(frame, echo);
    engine->port().peer().inject(frame);
  }

  void download() {
    SimClient::Options client_options;
    client_options.port = static_cast<std::uint16_t>(40000 + accepted.size());
    client = &engine->connect(client_options);
    const std::size_t wanted = accepted.size() + 1;
    ASSERT_TRUE(engine->run_until([&] { return accepted.size() == wanted; }, seconds(60)));
    auto snapshot = engine->cache().freeze(file, 0, content.size());
    ASSERT_TRUE(snapshot) << snapshot.error().message();
    engine->submit(accepted.back(), *snapshot, {}, {}, 0);
  }
  bool run_until_received(std::size_t bytes) {
    return engine->run_until([&] { return client->received().size() >= bytes; }, seconds(120));
  }
  void expect_whole_download() {
    ASSERT_TRUE(run_until_received(content.size()));
    const auto* text = reinterpret_cast<const char*>(client->received().data());
    EXPECT_TRUE(std::string_view(text, client->received().size()) == content);
    ASSERT_TRUE(engine->run_until([&] { return released.size() == accepted.size(); }, seconds(60)));
    EXPECT_EQ(released.back().error, 0);
  }
  const engine::LoopCounters& counters() const { return engine->loop().counters(); }

  std::vector<Station> stations{{client_mac, client_address}};
  std::vector<ConnectionId> accepted;
  std::vector<SpliceResult> released;
  SimClient* client = nullptr;
  std::vector<ArpPacket> heard_arp;
  std::vector<wire::IcmpEchoView> heard_echoes;  ///< their data is gone
  std::vector<std::byte> echo_data;              ///< of the last
  std::uint64_t segments_taken = 0;
  std::uint64_t segments_lost = 0;
  MacAddress last_segment_to{};
};
INSTANTIATE_TEST_SUITE_P(Forms, HostOnSim, ::testing::Bool(), [](const auto& form) {
  return form.param ? std::string("linear") : std::string("fragments");
});

ArpPacket question(const MacAddress& mac, const Ipv4Address& sender, const Ipv4Address& target) {
  return {
      .operation = ArpOperation::request, .sender_mac = mac, .sender = sender, .target = target};
}

TEST_P(HostOnSim, is_found_by_arp_and_serves) {
  start(100'000);
  engine->run_for(milliseconds(1));
  heard_arp.clear();
  say(question(client_mac, client_address, us));
  engine->run_for(milliseconds(1));
  ASSERT_EQ(heard_arp.size(), 1U);
  EXPECT_EQ(heard_arp[0].operation, ArpOperation::reply);
  EXPECT_EQ(heard_arp[0].destination_mac, client_mac);
  EXPECT_EQ(heard_arp[0].sender_mac, our_mac);
  EXPECT_EQ(heard_arp[0].sender, us);
  download();
  expect_whole_download();
  EXPECT_EQ(counters().arp_requests_answered.get(), 1U);
  EXPECT_EQ(counters().segments_invalid.get(), 0U);
}

TEST_P(HostOnSim, announces_itself_at_the_start) {
  start(1'000);
  engine->run_for(seconds(10));
  ASSERT_EQ(heard_arp.size(), 2U);
  for (const ArpPacket& packet : heard_arp) {
    EXPECT_EQ(packet.destination_mac, broadcast_mac);
    EXPECT_EQ(packet.sender, us);
    EXPECT_EQ(packet.target, us);
    EXPECT_EQ(packet.sender_mac, our_mac);
  }
}

TEST_P(HostOnSim, announces_itself_when_a_link_that_was_down_at_the_start_comes_up) {
  start(1'000);
  engine->port().set_link_up(false);
  engine->run_for(seconds(5));
  EXPECT_TRUE(heard_arp.empty());
  engine->port().set_link_up(true);
  engine->run_for(seconds(5));
  // What waited in the ring while the link was down, and then both announcements.
  ASSERT_EQ(heard_arp.size(), 3U);
  for (const ArpPacket& packet : heard_arp)
    EXPECT_EQ(packet.target, us);
}

TEST_P(HostOnSim, answers_ping_of_every_size_that_fits_a_packet) {
  start(1'000);
  for (const std::size_t size : {0U, 56U, 1472U}) {
    std::vector<std::byte> data(size);
    std::generate(data.begin(), data.end(), [n = 0]() mutable { return std::byte(n++ % 251); });
    ping(data);
    engine->run_for(milliseconds(5));
    ASSERT_FALSE(heard_echoes.empty()) << size;
    EXPECT_EQ(heard_echoes.back().kind, wire::EchoKind::reply);
    EXPECT_EQ(heard_echoes.back().destination_mac, client_mac);
    EXPECT_EQ(heard_echoes.back().source, us);
    EXPECT_EQ(echo_data, data);
  }
  EXPECT_EQ(counters().echo_requests_answered.get(), 3U);
  ping({}, broadcast_mac);
  engine->run_for(milliseconds(5));
  EXPECT_EQ(heard_echoes.size(), 3U) << "nobody makes everybody shout at one";
}

TEST_P(HostOnSim, answers_with_the_devices_checksums_as_with_its_own) {
  options.sim.checksum_offload = true;
  start(100'000);
  ping(std::as_bytes(std::span("odd")));
  download();
  expect_whole_download();
  EXPECT_EQ(heard_echoes.size(), 1U);
}

TEST_P(HostOnSim, a_peer_that_moves_to_another_mac_and_says_nothing_is_found_again) {
  start(1'000'000);
  download();
  ASSERT_TRUE(run_until_received(200'000));
  EXPECT_EQ(counters().flows_readdressed.get(), 0U);
  // Another card takes over the address. It hears nothing until frames are sent to it.
  stations[0].mac = new_client_mac;
  client->move(new_client_mac);
  const Time moved = engine->now();
  expect_whole_download();
  EXPECT_GT(segments_lost, 0U);
  EXPECT_EQ(last_segment_to, new_client_mac);
  EXPECT_EQ(counters().flows_readdressed.get(), 1U);
  EXPECT_GE(counters().neighbour_requests.get(), 1U);
  EXPECT_LT(engine->now() - moved, seconds(3)) << "a few retransmission time-outs";
}

TEST_P(HostOnSim, a_peer_that_moves_is_found_through_loss_too) {
  options.sim.to_peer.loss_ppm = options.sim.from_peer.loss_ppm = 50'000;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    stations = {{client_mac, client_address}};
    options.sim.seed = seed;
    accepted.clear();
    released.clear();
    start(300'000);
    download();
    ASSERT_TRUE(run_until_received(100'000));
    stations[0].mac = new_client_mac;
    client->move(new_client_mac);
    expect_whole_download();
    EXPECT_EQ(last_segment_to, new_client_mac);
    EXPECT_EQ(counters().flows_readdressed.get(), 1U);
    TearDown();
  }
  engine.reset();
}

TEST_P(HostOnSim, a_peer_behind_the_gateway_is_answered_through_it_wherever_it_came_from) {
  options.gateway = router;
  options.addresses.client = far_away;
  options.addresses.client_mac = backup_router_mac;  // the way here is another one
  stations = {{router_mac, router}, {backup_router_mac, {10, 0, 0, 253}}};
  start(100'000);
  engine->run_for(milliseconds(10));
  EXPECT_EQ(engine->host()->neighbours().gateway().mac, router_mac);
  download();
  expect_whole_download();
  EXPECT_EQ(last_segment_to, router_mac);
  EXPECT_EQ(counters().flows_readdressed.get(), 0U);
}

TEST_P(HostOnSim, while_the_gateway_is_unknown_answers_go_to_where_packets_came_from) {
  options.gateway = router;
  options.addresses.client = far_away;
  options.addresses.client_mac = backup_router_mac;
  stations = {{backup_router_mac, {10, 0, 0, 253}}};
  start(100'000);
  engine->run_for(seconds(5));
  EXPECT_EQ(engine->host()->neighbours().gateway().state, engine::NeighbourState::unreachable);
  download();
  expect_whole_download();
  EXPECT_EQ(last_segment_to, backup_router_mac);
  // It comes back, and is found within its interval.
  stations.push_back({router_mac, router});
  engine->run_for(seconds(11));
  download();
  expect_whole_download();
  EXPECT_EQ(last_segment_to, router_mac);
}

TEST_P(HostOnSim, a_gateway_that_fails_over_in_silence_is_found_again) {
  options.gateway = router;
  options.addresses.client = far_away;
  options.addresses.client_mac = router_mac;
  stations = {{router_mac, router}};
  start(1'000'000);
  download();
  ASSERT_TRUE(run_until_received(200'000));
  stations = {{backup_router_mac, router}};
  client->move(backup_router_mac);
  const Time moved = engine->now();
  expect_whole_download();
  EXPECT_EQ(last_segment_to, backup_router_mac);
  EXPECT_EQ(counters().flows_readdressed.get(), 1U);
  EXPECT_LT(engine->now() - moved, seconds(3));
}

TEST_P(HostOnSim, without_a_gateway_it_follows_packets_that_prove_to_know_the_connection) {
  options.addresses.client = far_away;
  options.addresses.client_mac = router_mac;
  stations = {{router_mac, router}, {backup_router_mac, {10, 0, 0, 253}}};
  start(1'000'000);
  download();
  ASSERT_TRUE(run_until_received(200'000));
  client->move(backup_router_mac);
  expect_whole_download();
  EXPECT_EQ(last_segment_to, backup_router_mac);
  EXPECT_EQ(counters().neighbour_requests.get(), 0U);
}

TEST_P(HostOnSim, a_flood_of_claims_changes_nothing) {
  options.gateway = router;
  options.addresses.client = far_away;
  options.addresses.client_mac = router_mac;
  stations = {{router_mac, router}};
  start(1'000'000);
  download();
  std::uint64_t asked = 0;
  Time next = engine->now();
  engine->between = [&] {
    if (asked == 10'000 || engine->now() < next) return;
    next = engine->now() + microseconds(10);
    const auto low = static_cast<std::uint8_t>(asked);
    const auto high = static_cast<std::uint8_t>(1 + asked / 256);
    say(question(stranger_mac, {10, high, low, 9}, us));
    ++asked;
  };
  expect_whole_download();
  ASSERT_TRUE(engine->run_until([&] { return asked == 10'000; }, seconds(60)));
  engine->run_for(seconds(1));
  engine->between = nullptr;
  EXPECT_EQ(engine->host()->neighbours().gateway().mac, router_mac);
  EXPECT_EQ(engine->host()->neighbours().find({10, 1, 0, 9}).state, engine::NeighbourState::none);
  EXPECT_GT(counters().arp_requests_answered.get(), 9'900U) << "some may find every buffer taken";
  EXPECT_EQ(last_segment_to, router_mac);
}

TEST_P(HostOnSim, a_second_host_with_its_address_is_counted_and_told_once_in_a_while) {
  start(100'000);
  engine->run_for(seconds(3));
  heard_arp.clear();
  for (int i = 0; i < 50; ++i) {
    say(question(stranger_mac, us, us));
    engine->run_for(milliseconds(100));
  }
  EXPECT_EQ(counters().address_conflicts.get(), 50U);
  ASSERT_EQ(heard_arp.size(), 1U);
  EXPECT_EQ(heard_arp[0].sender, us);
  EXPECT_EQ(heard_arp[0].sender_mac, our_mac);
  EXPECT_EQ(heard_arp[0].destination_mac, broadcast_mac);
  download();
  expect_whole_download();  // it goes on
}

TEST_P(HostOnSim, noise_is_counted_and_answered_with_nothing) {
  start(300'000);
  engine->run_for(seconds(3));
  heard_arp.clear();
  download();
  std::mt19937 random(7);
  std::uint64_t sent = 0;
  engine->between = [&] {
    std::array<std::byte, 200> frame{};
    std::generate(frame.begin(), frame.end(), [&] { return static_cast<std::byte>(random()); });
    const MacAddress& to = random() % 2 == 0 ? our_mac : broadcast_mac;
    std::copy_n(std::as_bytes(std::span(to)).begin(), 6, frame.begin());
    constexpr std::array types{0x0800U, 0x0806U, 0x86ddU, 0x8100U};
    const unsigned type = types.at(random() % types.size());
    frame[12] = static_cast<std::byte>(type >> 8);
    frame[13] = static_cast<std::byte>(type);
    engine->port().peer().inject(std::span(frame).first(random() % frame.size()));
    ++sent;
  };
  expect_whole_download();
  engine->between = nullptr;
  EXPECT_GT(sent, 100U);
  EXPECT_GT(counters().frames_ignored.get(), sent / 3);
  EXPECT_TRUE(heard_arp.empty());
  EXPECT_TRUE(heard_echoes.empty());
}

TEST_P(HostOnSim, a_promiscuous_port_makes_it_answer_for_nobody_else) {
  options.sim.filter_flows = false;
  options.addresses.engine_mac = stranger_mac;  // what the client sends to
  start(1'000);
  engine->connect({});
  ping({}, stranger_mac);
  engine->run_for(seconds(1));
  EXPECT_EQ(segments_taken, 0U);
  EXPECT_TRUE(heard_echoes.empty());
  EXPECT_TRUE(accepted.empty());
  EXPECT_GT(counters().segments_invalid.get(), 0U);
}

TEST_P(HostOnSim, where_a_kernel_owns_the_interface_the_engine_says_nothing_of_it) {
  options.sim.owns_interface = false;
  start(100'000);
  say(question(client_mac, client_address, us));
  ping({});
  download();
  expect_whole_download();
  EXPECT_TRUE(heard_arp.empty());
  EXPECT_TRUE(heard_echoes.empty());
  EXPECT_EQ(engine->port().stats().not_ours, 2U);
}

}  // namespace
}  // namespace strictsend::testing
