// SPDX-License-Identifier: Apache-2.0
// What a host decides over IPv6: neighbour discovery in times of its own, and which addresses do.
#include <array>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/host/host.hpp"

namespace strictsend::engine {
namespace {

using nic::MacAddress;
using wire::NeighbourKind;
using wire::NeighbourPacket;
using Kind = HostStep::Kind;
using State = NeighbourState;

constexpr MacAddress our_mac{2, 0, 0, 0, 0, 1};
constexpr MacAddress peer_mac{2, 0, 0, 0, 0, 2};
constexpr MacAddress router_mac{2, 0, 0, 0, 0, 0xfe};
constexpr MacAddress other_mac{2, 0, 0, 0, 0, 9};
constexpr Time start{1'000'000'000'000};

Ipv6Address v6(std::string_view text) {
  return parse_ip_address(text).value().v6();
}
const Ipv6Address us = v6("2001:db8::1");
const Ipv6Address peer = v6("2001:db8::2");
const Ipv6Address router = v6("fe80::1");
const Ipv6Address far_away = v6("2001:db8:ffff::7");

NeighbourPacket question(const MacAddress& from_mac, const Ipv6Address& from,
                         const Ipv6Address& target) {
  const Ipv6Address group = wire::solicited_node(target);
  return {.source_mac = from_mac,
          .destination_mac = wire::multicast_mac(group),
          .source = from,
          .destination = group,
          .kind = NeighbourKind::solicitation,
          .target = target,
          .link_address = from_mac};
}
NeighbourPacket probe(const MacAddress& from_mac, const Ipv6Address& target) {
  NeighbourPacket packet = question(from_mac, wire::unspecified_v6, target);
  packet.link_address.reset();
  return packet;
}
NeighbourPacket answer(const MacAddress& from_mac, const Ipv6Address& from) {
  return {.source_mac = from_mac,
          .destination_mac = our_mac,
          .source = from,
          .destination = us,
          .kind = NeighbourKind::advertisement,
          .target = from,
          .solicited = true,
          .overrides = true,
          .link_address = from_mac};
}

struct Story {
  explicit Story(std::optional<Ipv6Address> gateway = std::nullopt, wire::VlanId vlan_id = {})
      : host({.mac = our_mac,
              .reply_bytes_max = 1514,
              .address6 = us,
              .gateway6 = gateway,
              .vlan_id = vlan_id},
             start) {}

  HostStep hear(const NeighbourPacket& packet) {
    frame.resize(wire::neighbour_frame_bytes_max);
    frame.resize(wire::emit_neighbour_packet(frame, packet));
    return host.on_frame(frame, now);
  }
  struct Collect {
    std::vector<NeighbourPacket>& sent;
    void operator()(const NeighbourPacket& packet) const { sent.push_back(packet); }
    void operator()(const wire::ArpPacket&) const { ADD_FAILURE() << "IPv4"; }
  };
  std::vector<NeighbourPacket> keep_for(Duration duration) {
    std::vector<NeighbourPacket> sent;
    const Time end = now + duration;
    while (now < end)
      now = host.keep(now, Collect{sent});
    return sent;
  }
  State state_of(const Ipv6Address& address) const { return host.neighbours().find(address).state; }

  Time now = start;
  Host host;
  std::vector<std::byte> frame;
};

// Who has our address.

TEST(HostIpv6, rfc4862_5_4_probes_for_its_address_and_announces_it) {
  Story story;
  const std::vector<NeighbourPacket> sent = story.keep_for(seconds(30));
  ASSERT_EQ(sent.size(), 3U);
  EXPECT_EQ(sent[0], probe(our_mac, us));
  for (const NeighbourPacket& announced : {sent[1], sent[2]}) {
    EXPECT_EQ(announced.kind, NeighbourKind::advertisement);
    EXPECT_EQ(announced.target, us);
    EXPECT_EQ(announced.link_address, our_mac);
    EXPECT_EQ(announced.destination, wire::all_nodes_v6);
    EXPECT_TRUE(announced.overrides && !announced.solicited);
  }
}

TEST(HostIpv6, rfc4861_7_2_4_answers_who_asks_for_its_address) {
  Story story;
  const HostStep step = story.hear(question(peer_mac, peer, us));
  EXPECT_EQ(step.kind, Kind::answer_request);
  ASSERT_TRUE(step.neighbour);
  EXPECT_EQ(*step.neighbour, (NeighbourPacket{.source_mac = our_mac,
                                              .destination_mac = peer_mac,
                                              .source = us,
                                              .destination = peer,
                                              .kind = NeighbourKind::advertisement,
                                              .target = us,
                                              .solicited = true,
                                              .overrides = true,
                                              .link_address = our_mac}));
  EXPECT_EQ(story.state_of(peer), State::none) << "asking gets nobody into the table";
  NeighbourPacket direct = question(peer_mac, peer, us);
  direct.destination = us;
  direct.destination_mac = our_mac;
  EXPECT_EQ(story.hear(direct).kind, Kind::answer_request) << "a poll";
}

TEST(HostIpv6, rfc4862_5_4_4_tells_all_when_somebody_wants_its_address) {
  Story story;
  const HostStep step = story.hear(probe(other_mac, us));
  EXPECT_EQ(step.kind, Kind::answer_request);
  ASSERT_TRUE(step.neighbour);
  EXPECT_EQ(step.neighbour->destination, wire::all_nodes_v6);
  EXPECT_FALSE(step.neighbour->solicited);
  EXPECT_EQ(story.hear(probe(our_mac, us)).kind, Kind::ignored) << "its own, come back";
}

TEST(HostIpv6, defends_its_address_once_in_ten_seconds) {
  Story story;
  NeighbourPacket claim = answer(other_mac, us);
  claim.destination = wire::all_nodes_v6;
  claim.destination_mac = wire::multicast_mac(wire::all_nodes_v6);
  claim.solicited = false;
  claim.source = v6("fe80::9");
  HostStep step = story.hear(claim);
  EXPECT_EQ(step.kind, Kind::conflict);
  ASSERT_TRUE(step.neighbour);
  EXPECT_EQ(step.neighbour->destination, wire::all_nodes_v6);
  step = story.hear(claim);
  EXPECT_EQ(step.kind, Kind::conflict);
  EXPECT_FALSE(step.neighbour) << "defended a moment ago";
  story.now = story.now + Host::defend_interval;
  EXPECT_TRUE(story.hear(claim).neighbour);
}

TEST(HostIpv6, rfc5227_1_1_defends_either_familys_address_by_an_interval_of_its_own) {
  Host host({.mac = our_mac,
             .address = Ipv4Address{10, 0, 0, 1},
             .reply_bytes_max = 1514,
             .address6 = us},
            start);
  std::array<std::byte, wire::arp_frame_bytes> arp{};
  wire::emit_arp_packet(arp, {.source_mac = other_mac,
                              .destination_mac = wire::broadcast_mac,
                              .operation = wire::ArpOperation::request,
                              .sender_mac = other_mac,
                              .sender = Ipv4Address{10, 0, 0, 1},
                              .target = Ipv4Address{10, 0, 0, 1}});
  EXPECT_TRUE(host.on_frame(arp, start).arp);
  NeighbourPacket claim = answer(other_mac, us);
  claim.destination = wire::all_nodes_v6;
  claim.destination_mac = wire::multicast_mac(wire::all_nodes_v6);
  claim.solicited = false;
  claim.source = v6("fe80::9");
  std::vector<std::byte> frame(wire::neighbour_frame_bytes_max);
  frame.resize(wire::emit_neighbour_packet(frame, claim));
  EXPECT_TRUE(host.on_frame(frame, start).neighbour) << "the other address was defended";
  EXPECT_FALSE(host.on_frame(frame, start).neighbour);
  EXPECT_FALSE(host.on_frame(arp, start).arp);
}

TEST(HostIpv6, leaves_what_is_for_others_alone) {
  Story story;
  NeighbourPacket elsewhere = question(peer_mac, peer, us);
  elsewhere.destination = us;
  elsewhere.destination_mac = other_mac;
  EXPECT_EQ(story.hear(elsewhere).kind, Kind::ignored) << "a promiscuous port heard it";
  EXPECT_EQ(story.hear(question(peer_mac, peer, v6("2001:db8::77"))).kind, Kind::ignored)
      << "another group";
  EXPECT_EQ(story.hear(question(peer_mac, peer, v6("2001:db8:1::1"))).kind, Kind::heard)
      << "the same group, another address";
  Story tagged({}, 5);
  EXPECT_EQ(tagged.hear(question(peer_mac, peer, us)).kind, Kind::ignored) << "another VLAN";
  NeighbourPacket inside = question(peer_mac, peer, us);
  inside.vlan_id = 5;
  const HostStep step = tagged.hear(inside);
  ASSERT_TRUE(step.neighbour);
  EXPECT_EQ(step.neighbour->vlan_id, 5);
}

// Whom it asks for.

TEST(HostIpv6, finds_its_gateway_on_the_link_and_polls_it_when_it_grows_stale) {
  Story story(router);
  std::vector<NeighbourPacket> sent = story.keep_for(milliseconds(1));
  ASSERT_EQ(sent.size(), 3U);
  EXPECT_EQ(sent[2], question(our_mac, us, router));
  EXPECT_EQ(story.host.way_back(far_away, other_mac), other_mac) << "not known yet";
  story.hear(answer(router_mac, router));
  EXPECT_EQ(story.host.way_back(far_away, other_mac), router_mac);
  EXPECT_EQ(story.host.way_back(peer, peer_mac), peer_mac) << "on the link it is itself";
  EXPECT_EQ(story.host.way_back(v6("fe80::2"), peer_mac), peer_mac) << "so it is with fe80";
  sent = story.keep_for(seconds(31));
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(sent.back().destination, router) << "RFC 4861 7.3.3: to it alone";
  EXPECT_EQ(sent.back().destination_mac, router_mac);
}

TEST(HostIpv6, asks_for_a_silent_peer_and_believes_the_answer) {
  Story story;
  EXPECT_EQ(story.host.suspect(peer, story.now), question(our_mac, us, peer));
  EXPECT_FALSE(story.host.suspect(peer, story.now + milliseconds(999)));
  EXPECT_FALSE(story.host.next_hop(peer));
  story.hear(answer(other_mac, peer));
  EXPECT_EQ(story.host.next_hop(peer), other_mac);
  EXPECT_FALSE(story.host.suspect(far_away, story.now)) << "nobody to ask for";
  EXPECT_FALSE(story.host.suspect(us, story.now));
}

TEST(HostIpv6, both_families_have_a_gateway_of_their_own) {
  Host host({.mac = our_mac,
             .address = Ipv4Address{10, 0, 0, 1},
             .gateway = Ipv4Address{10, 0, 0, 254},
             .address6 = us,
             .gateway6 = router},
            start);
  host.moved(Ipv4Address{10, 0, 0, 254}, peer_mac, start);
  host.moved(router, router_mac, start);
  EXPECT_EQ(host.way_back(IpAddress(198, 51, 100, 7), other_mac), peer_mac);
  EXPECT_EQ(host.way_back(far_away, other_mac), router_mac);
}

TEST(Neighbours, rfc4861_7_2_5_every_step_that_an_advertisement_makes) {
  const auto after = [](State state, bool same_mac, bool solicited, bool overrides) {
    const Neighbour before{
        state == State::incomplete || state == State::unreachable ? MacAddress{} : peer_mac, state};
    return neighbour_after_claim(before, {same_mac ? peer_mac : other_mac, solicited, overrides});
  };
  const auto at = [](const MacAddress& mac, State state) { return Neighbour{mac, state}; };
  for (const State state : {State::incomplete, State::unreachable}) {
    EXPECT_EQ(after(state, false, true, false), at(other_mac, State::reachable));
    EXPECT_EQ(after(state, false, false, false), at(other_mac, State::stale));
  }
  for (const State state : {State::reachable, State::stale, State::probing}) {
    // Another MAC, without the right to override.
    const State doubted = state == State::reachable ? State::stale : state;
    EXPECT_EQ(after(state, false, true, false), at(peer_mac, doubted));
    EXPECT_EQ(after(state, false, false, false), at(peer_mac, doubted));
    // With it.
    EXPECT_EQ(after(state, false, true, true), at(other_mac, State::reachable));
    EXPECT_EQ(after(state, false, false, true), at(other_mac, State::stale));
    // The same MAC.
    EXPECT_EQ(after(state, true, true, false), at(peer_mac, State::reachable));
    EXPECT_EQ(after(state, true, false, true), at(peer_mac, state));
    // No MAC at all.
    EXPECT_EQ(neighbour_after_claim({peer_mac, state}, {.solicited = true}),
              at(peer_mac, State::reachable));
  }
  EXPECT_EQ(neighbour_after_claim({{}, State::incomplete}, {.solicited = true}),
            at({}, State::incomplete));
  EXPECT_EQ(after(State::none, true, true, true), at(peer_mac, State::none));
}

TEST(Neighbours, an_address_fits_its_place_in_either_family) {
  for (const char* text : {"192.0.2.1", "0.0.0.0", "2001:db8::1", "fe80::1", "::1"}) {
    const IpAddress address = parse_ip_address(text).value();
    EXPECT_EQ(unpack(pack(address)), address) << text;
  }
}

// What may be asked for.

std::string complaint(std::optional<Ipv6Address> address, unsigned bits,
                      std::optional<Ipv6Address> gateway = std::nullopt) {
  EngineConfig config;
  config.address6 = address;
  config.prefix6_bits = static_cast<std::uint8_t>(bits);
  config.gateway6 = gateway;
  const auto host = make_host_config(config, {.mac = our_mac, .owns_interface = true});
  return host ? std::string() : host.error().message();
}

TEST(HostConfigIpv6, takes_hosts_addresses_and_gateways_on_the_link) {
  EXPECT_EQ(complaint(us, 64), "");
  EXPECT_EQ(complaint(us, 64, router), "") << "link-local, as routers mostly are";
  EXPECT_EQ(complaint(us, 127, v6("2001:db8::")), "") << "RFC 6164";
  EXPECT_EQ(complaint(v6("fe80::2"), 64), "");
}

TEST(HostConfigIpv6, has_no_peer_whose_address_is_ipv4s_in_another_form) {
  const HostConfig host{.address = Ipv4Address{10, 0, 0, 1}, .address6 = us};
  EXPECT_TRUE(host.may_be_peer(far_away));
  EXPECT_FALSE(host.may_be_peer(v6("::ffff:10.0.0.2")));
}

TEST(HostConfigIpv6, says_what_is_wrong_and_what_would_be_right) {
  const auto expect = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text << "\nlacks: " << part;
  };
  expect(complaint(std::nullopt, 64), "2001:db8::1/64");
  for (const unsigned bits : {0U, 128U, 200U})
    expect(complaint(us, bits), "1 to 127");
  for (const char* text : {"::", "::1", "ff02::1"})
    expect(complaint(v6(text), 64), "no single host");
  expect(complaint(v6("::ffff:10.0.0.1"), 96), "say 10.0.0.1");
  expect(complaint(us, 64, v6("::ffff:10.0.0.254")), "say 10.0.0.254");
  expect(complaint(us, 64, us), "own address");
  expect(complaint(us, 64, far_away), "2001:db8:ffff::7 is not in the network of 2001:db8::1/64");
  EngineConfig config;
  config.address = Ipv4Address{10, 0, 0, 1};
  config.gateway6 = router;
  expect(make_host_config(config, {.owns_interface = true}).error().message(),
         "without an IPv6 address");
}

}  // namespace
}  // namespace strictsend::engine
