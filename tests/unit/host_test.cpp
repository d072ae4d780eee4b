// SPDX-License-Identifier: Apache-2.0
// What a host decides, in times of its own: who has our address, where neighbours are.
#include "engine/host/host.hpp"

#include <atomic>
#include <cerrno>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace strictsend::engine {
namespace {

using nic::MacAddress;
using wire::ArpOperation;
using wire::ArpPacket;
using wire::broadcast_mac;
using Kind = HostStep::Kind;
using State = NeighbourState;

constexpr MacAddress our_mac{2, 0, 0, 0, 0, 1};
constexpr MacAddress peer_mac{2, 0, 0, 0, 0, 2};
constexpr MacAddress router_mac{2, 0, 0, 0, 0, 0xfe};
constexpr MacAddress other_mac{2, 0, 0, 0, 0, 9};
constexpr Ipv4Address us{10, 0, 0, 1};
constexpr Ipv4Address peer{10, 0, 0, 2};
constexpr Ipv4Address router{10, 0, 0, 254};
constexpr Ipv4Address far_away{198, 51, 100, 7};
constexpr Time start{1'000'000'000'000};

HostConfig config_with(std::optional<Ipv4Address> gateway) {
  return {.mac = our_mac,
          .address = us,
          .prefix_bits = 24,
          .gateway = gateway,
          .reply_bytes_max = 1514};
}

ArpPacket arp(ArpOperation operation, const MacAddress& from_mac, const Ipv4Address& from,
              const Ipv4Address& target, const MacAddress& to = broadcast_mac) {
  return {.source_mac = from_mac,
          .destination_mac = to,
          .operation = operation,
          .sender_mac = from_mac,
          .sender = from,
          .target_mac = operation == ArpOperation::reply ? our_mac : MacAddress{},
          .target = target};
}
ArpPacket question(const MacAddress& from_mac, const Ipv4Address& from, const Ipv4Address& target) {
  return arp(ArpOperation::request, from_mac, from, target);
}
ArpPacket answer(const MacAddress& from_mac, const Ipv4Address& from) {
  return arp(ArpOperation::reply, from_mac, from, us, our_mac);
}

/// A host, and what it sent when it was asked to keep its interface.
struct Story {
  explicit Story(std::optional<Ipv4Address> gateway = std::nullopt)
      : host(config_with(gateway), start) {}

  HostStep hear(const ArpPacket& packet) {
    frame.resize(wire::arp_frame_bytes);
    wire::emit_arp_packet(frame, packet);
    return host.on_frame(frame, now);
  }
  HostStep hear(const wire::IcmpEchoView& echo) {
    frame.resize(wire::frame_bytes(echo));
    wire::emit_icmp_echo(frame, echo);
    return host.on_frame(frame, now);
  }
  /// What is sent in the family that a story is about; nothing is in the other.
  struct Collect {
    std::vector<ArpPacket>& sent;
    void operator()(const ArpPacket& packet) const { sent.push_back(packet); }
    void operator()(const wire::NeighbourPacket&) const { ADD_FAILURE() << "IPv6"; }
  };
  std::vector<ArpPacket> keep() {
    std::vector<ArpPacket> sent;
    host.keep(now, Collect{sent});
    return sent;
  }
  /// Keeps the interface as its keeper does, and returns what it sent meanwhile.
  std::vector<ArpPacket> keep_for(Duration duration) {
    std::vector<ArpPacket> sent;
    const Time end = now + duration;
    while (now < end) {
      now = host.keep(now, Collect{sent});
    }
    return sent;
  }
  State gateway_state() const { return host.neighbours().gateway().state; }
  State state_of(const Ipv4Address& address) const { return host.neighbours().find(address).state; }

  Time now = start;
  Host host;
  std::vector<std::byte> frame;
};

// Who has our address.

TEST(Host, answers_who_asks_for_its_address) {
  Story story;
  const HostStep step = story.hear(question(peer_mac, peer, us));
  EXPECT_EQ(step.kind, Kind::answer_request);
  ASSERT_TRUE(step.arp);
  EXPECT_EQ(*step.arp, (ArpPacket{.source_mac = our_mac,
                                  .destination_mac = peer_mac,
                                  .operation = ArpOperation::reply,
                                  .sender_mac = our_mac,
                                  .sender = us,
                                  .target_mac = peer_mac,
                                  .target = peer}));
  EXPECT_EQ(story.state_of(peer), State::none) << "asking gets nobody into the table";
}

TEST(Host, answers_a_probe_so_that_nobody_else_takes_the_address) {
  Story story;
  const HostStep step = story.hear(question(other_mac, {}, us));
  EXPECT_EQ(step.kind, Kind::answer_request);
  ASSERT_TRUE(step.arp);
  EXPECT_EQ(step.arp->destination_mac, other_mac);
}

TEST(Host, leaves_questions_for_others_alone) {
  Story story;
  EXPECT_EQ(story.hear(question(peer_mac, peer, router)).kind, Kind::heard);
  ArpPacket elsewhere = question(peer_mac, peer, us);
  elsewhere.destination_mac = other_mac;
  EXPECT_EQ(story.hear(elsewhere).kind, Kind::ignored) << "a promiscuous port heard it";
  EXPECT_EQ(story.hear(question(our_mac, us, us)).kind, Kind::ignored) << "our own came back";
}

TEST(Host, announces_itself_twice) {
  Story story;
  const std::vector<ArpPacket> first = story.keep();
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0], question(our_mac, us, us));
  EXPECT_TRUE(story.keep_for(seconds(2)).empty());
  EXPECT_EQ(story.keep_for(seconds(1)).size(), 1U);
  EXPECT_TRUE(story.keep_for(seconds(60)).empty());
}

TEST(Host, defends_its_address_at_most_every_ten_seconds) {
  Story story;
  const HostStep first = story.hear(question(other_mac, us, us));
  EXPECT_EQ(first.kind, Kind::conflict);
  EXPECT_EQ(first.arp, question(our_mac, us, us));
  story.now = story.now + seconds(9);
  const HostStep second = story.hear(answer(other_mac, us));
  EXPECT_EQ(second.kind, Kind::conflict) << "a reply is a claim too";
  EXPECT_FALSE(second.arp);
  story.now = story.now + seconds(1);
  EXPECT_TRUE(story.hear(question(other_mac, us, peer)).arp);
}

// Ping.

wire::IcmpEchoView ping(const Ipv4Address& from, std::span<const std::byte> data) {
  return {.source_mac = peer_mac,
          .destination_mac = our_mac,
          .source = from,
          .destination = us,
          .identifier = 7,
          .sequence = 8,
          .data = data};
}

TEST(Host, answers_pings_up_to_what_a_frame_holds) {
  Story story;
  const std::vector<std::byte> data(1473, std::byte{5});
  const std::span<const std::byte> all(data);
  const HostStep step = story.hear(ping(peer, all.first(1472)));
  EXPECT_EQ(step.kind, Kind::answer_echo);
  ASSERT_TRUE(step.echo);
  EXPECT_EQ(step.echo->destination_mac, peer_mac);
  EXPECT_EQ(step.echo->destination, peer);
  EXPECT_EQ(step.echo->data.size(), 1472U);
  EXPECT_EQ(story.hear(ping(peer, all)).kind, Kind::ignored) << "longer than an answer can be";
}

TEST(Host, ignores_pings_that_would_make_it_shout) {
  Story story;
  EXPECT_EQ(story.hear(ping({10, 0, 0, 255}, {})).kind, Kind::ignored) << "from everybody";
  EXPECT_EQ(story.hear(ping({10, 0, 0, 0}, {})).kind, Kind::ignored);
  EXPECT_EQ(story.hear(ping(us, {})).kind, Kind::ignored) << "from ourselves";
  wire::IcmpEchoView echo = ping(peer, {});
  echo.destination_mac = broadcast_mac;
  EXPECT_EQ(story.hear(echo).kind, Kind::ignored);
  echo = ping(peer, {});
  echo.destination = {10, 0, 0, 255};
  EXPECT_EQ(story.hear(echo).kind, Kind::ignored);
  echo = ping(peer, {});
  echo.kind = wire::EchoKind::reply;
  EXPECT_EQ(story.hear(echo).kind, Kind::ignored);
}

// The gateway.

TEST(Host, asks_for_its_gateway_until_it_answers_and_uses_it_from_then_on) {
  Story story(router);
  const std::vector<ArpPacket> sent = story.keep();
  ASSERT_EQ(sent.size(), 2U) << "the announcement, the question";
  EXPECT_EQ(sent[1], question(our_mac, us, router));
  EXPECT_EQ(story.host.way_back(far_away, other_mac), other_mac) << "not known yet";
  EXPECT_FALSE(story.host.next_hop(far_away));

  EXPECT_EQ(story.hear(answer(router_mac, router)).kind, Kind::heard);
  EXPECT_EQ(story.gateway_state(), State::reachable);
  EXPECT_EQ(story.host.way_back(far_away, other_mac), router_mac);
  EXPECT_EQ(story.host.next_hop(far_away), router_mac);
  EXPECT_EQ(story.host.way_back(peer, peer_mac), peer_mac) << "on the link it is itself";
}

TEST(Host, an_absent_gateway_is_asked_for_three_times_then_seldom) {
  Story story(router);
  story.keep_for(seconds(3));  // and the announcements
  EXPECT_EQ(story.gateway_state(), State::incomplete);
  story.keep_for(seconds(1));
  EXPECT_EQ(story.gateway_state(), State::unreachable);
  EXPECT_EQ(story.keep_for(seconds(60)).size(), 6U);
  EXPECT_EQ(story.host.way_back(far_away, other_mac), other_mac);
  story.hear(answer(router_mac, router));
  EXPECT_EQ(story.host.way_back(far_away, other_mac), router_mac);
}

TEST(Host, keeps_its_gateway_fresh_by_polling_it_alone) {
  Story story(router);
  story.keep_for(seconds(3));
  story.hear(answer(router_mac, router));
  const std::vector<ArpPacket> sent = story.keep_for(seconds(31));
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].destination_mac, router_mac);
  EXPECT_EQ(story.gateway_state(), State::probing);
  EXPECT_EQ(story.host.next_hop(far_away), router_mac) << "used meanwhile";
  story.hear(answer(router_mac, router));
  EXPECT_EQ(story.gateway_state(), State::reachable);
}

TEST(Host, finds_a_gateway_that_was_replaced) {
  Story story(router);
  story.keep_for(seconds(3));
  story.hear(answer(router_mac, router));
  const std::vector<ArpPacket> sent = story.keep_for(seconds(32));
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[0].destination_mac, router_mac);
  EXPECT_EQ(sent[1].destination_mac, broadcast_mac) << "the poll was not answered";
  story.hear(answer(other_mac, router));
  EXPECT_EQ(story.host.next_hop(far_away), other_mac);
}

TEST(Host, a_gateway_that_announces_another_mac_is_believed_and_asked) {
  Story story(router);
  story.keep_for(seconds(3));
  story.hear(answer(router_mac, router));
  story.hear(question(other_mac, router, router));
  EXPECT_EQ(story.host.next_hop(far_away), router_mac) << "it has just answered from there";
  story.now = story.now + seconds(1);
  story.hear(question(other_mac, router, router));
  EXPECT_EQ(story.host.next_hop(far_away), other_mac);
  EXPECT_EQ(story.gateway_state(), State::stale);
  const std::vector<ArpPacket> sent = story.keep();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].destination_mac, other_mac);
}

// Neighbours that do not answer.

TEST(Host, asks_for_a_silent_peer_once_a_second_and_believes_the_answer) {
  Story story;
  const auto request = story.host.suspect(peer, story.now);
  EXPECT_EQ(request, question(our_mac, us, peer));
  EXPECT_FALSE(story.host.suspect(peer, story.now + milliseconds(999)));
  EXPECT_TRUE(story.host.suspect(peer, story.now + seconds(1)));
  EXPECT_FALSE(story.host.next_hop(peer));
  story.now = story.now + seconds(1);
  story.hear(answer(other_mac, peer));
  EXPECT_EQ(story.host.next_hop(peer), other_mac);
}

TEST(Host, a_silent_peer_behind_the_gateway_makes_it_ask_for_the_gateway) {
  Story story(router);
  EXPECT_EQ(story.host.suspect(far_away, story.now), question(our_mac, us, router));
  Story without;
  EXPECT_FALSE(without.host.suspect(far_away, without.now)) << "nobody to ask for";
  EXPECT_FALSE(without.host.suspect(Ipv4Address{10, 0, 0, 255}, without.now));
}

TEST(Host, what_a_connection_has_proven_is_newer_than_what_arp_said) {
  Story story;
  ASSERT_TRUE(story.host.suspect(peer, story.now));
  story.hear(answer(peer_mac, peer));
  story.host.moved(peer, other_mac, story.now);
  EXPECT_EQ(story.host.next_hop(peer), other_mac);
  story.keep_for(seconds(31));
  EXPECT_FALSE(story.host.next_hop(peer)) << "long ago: the connection may know better";
}

TEST(Host, a_peer_that_never_answers_is_given_up) {
  Story story;
  story.keep_for(seconds(3));
  ASSERT_TRUE(story.host.suspect(peer, story.now));
  EXPECT_EQ(story.keep_for(seconds(10)).size(), 2U);
  EXPECT_EQ(story.state_of(peer), State::unreachable);
  EXPECT_TRUE(story.host.suspect(peer, story.now)) << "until somebody needs it again";
  EXPECT_EQ(story.state_of(peer), State::incomplete);
}

// The table.

Ipv4Address numbered(std::uint32_t number) {
  return {10, 0, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)};
}

TEST(Neighbours, claims_of_strangers_neither_enter_nor_evict) {
  Story story(router);
  story.keep_for(seconds(3));
  story.hear(answer(router_mac, router));
  ASSERT_TRUE(story.host.suspect(peer, story.now));
  story.hear(answer(peer_mac, peer));
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    const Ipv4Address stranger{10, 1, static_cast<std::uint8_t>(i >> 8),
                               static_cast<std::uint8_t>(i)};
    story.hear(question(other_mac, stranger, us));
    ASSERT_EQ(story.state_of(stranger), State::none);
  }
  EXPECT_EQ(story.host.next_hop(far_away), router_mac);
  EXPECT_EQ(story.host.next_hop(peer), peer_mac);
}

TEST(Neighbours, a_full_table_gives_the_longest_unused_place_away) {
  Neighbours table(router, std::nullopt, start);
  constexpr std::uint32_t others = Neighbours::places - 1;
  for (std::uint32_t i = 0; i < others; ++i)
    ASSERT_TRUE(table.suspect(numbered(i), start + milliseconds(i)));
  EXPECT_FALSE(table.suspect(numbered(900), start + milliseconds(500)))
      << "all were just asked for: it waits for its turn";
  // The first is needed again, so the second is the oldest.
  const Time later = start + seconds(2);
  ASSERT_TRUE(table.suspect(numbered(0), later));
  ASSERT_TRUE(table.suspect(numbered(901), later));
  EXPECT_EQ(table.find(numbered(0)).state, State::incomplete);
  EXPECT_EQ(table.find(numbered(1)).state, State::none);
  EXPECT_EQ(table.find(numbered(2)).state, State::incomplete);
  EXPECT_EQ(table.find(numbered(901)).state, State::incomplete);
  for (std::uint32_t i = 1000; i < 2000; ++i)
    static_cast<void>(table.suspect(numbered(i), later + seconds(i)));
  EXPECT_EQ(table.gateway().state, State::incomplete) << "the gateway's place is its own";
}

TEST(Neighbours, every_step_of_an_entry) {
  const auto after = [](State state, bool answers, bool same_mac, bool settled = false) {
    const Neighbour before{state == State::incomplete ? MacAddress{} : peer_mac, state};
    return neighbour_after_arp(before, same_mac ? peer_mac : other_mac, answers, settled);
  };
  const auto at = [](const MacAddress& mac, State state) { return Neighbour{mac, state}; };
  for (const bool same : {true, false}) {
    const MacAddress mac = same ? peer_mac : other_mac;
    EXPECT_EQ(after(State::incomplete, true, same), at(mac, State::reachable));
    EXPECT_EQ(after(State::probing, true, same), at(mac, State::reachable));
    EXPECT_EQ(after(State::probing, true, same, true), at(mac, State::reachable));
    EXPECT_EQ(after(State::unreachable, true, same), at(mac, State::reachable));
    EXPECT_EQ(after(State::incomplete, false, same), at(mac, State::probing));
    EXPECT_EQ(after(State::unreachable, false, same), at(mac, State::stale));
    EXPECT_EQ(after(State::stale, false, same), at(mac, State::stale));
    EXPECT_EQ(after(State::probing, false, same), at(mac, State::probing));
    EXPECT_EQ(after(State::none, true, same), at(peer_mac, State::none));
    EXPECT_EQ(after(State::claimed, true, same), at(peer_mac, State::claimed));
  }
  EXPECT_EQ(after(State::reachable, false, true), at(peer_mac, State::reachable));
  EXPECT_EQ(after(State::reachable, false, false), at(other_mac, State::stale));
  EXPECT_EQ(after(State::reachable, true, false), at(other_mac, State::stale))
      << "an answer that nobody waits for is hearsay";
  EXPECT_EQ(after(State::reachable, false, false, true), at(peer_mac, State::reachable));
}

/// A place whose reader is stopped before each of its loads, for a writer's stores to come between.
struct ScriptedPlace {
  struct Store {
    enum class To : std::uint8_t { word, half } to = To::word;
    std::size_t half = 0;
    std::uint64_t value = 0;
  };
  mutable std::uint64_t word = 0;
  mutable NeighbourAddress address{};
  mutable std::vector<Store> script;        ///< what the writer stores, in order
  mutable std::vector<std::size_t> pauses;  ///< before each load so many of them come

  void before_load() const {
    for (std::size_t n = pauses.front(); n > 0; --n) {
      const Store store = script.front();
      script.erase(script.begin());
      if (store.to == Store::To::word) {
        word = store.value;
      } else {
        address[store.half] = store.value;
      }
    }
    pauses.erase(pauses.begin());
  }
  std::uint64_t load_word() const { return before_load(), word; }
  std::uint64_t load_half(std::size_t index) const { return before_load(), address[index]; }
  // The writer's half, recorded.
  bool exchange_word(std::uint64_t /*expected*/, std::uint64_t desired) {
    script.push_back({.value = desired});
    return true;
  }
  void store_word(std::uint64_t bits) { script.push_back({.value = bits}); }
  void store_half(std::size_t index, std::uint64_t bits) {
    script.push_back({Store::To::half, index, bits});
  }
};

TEST(NeighbourWord, a_reader_sees_the_old_neighbour_or_the_new_one_in_every_interleaving) {
  const std::uint64_t old_word =
      NeighbourWord{.neighbour = {peer_mac, State::reachable}, .generation = 8191}.bits();
  // Addresses that differ in both halves.
  const IpAddress old_one = parse_ip_address("2001:db8::2").value();
  const IpAddress new_one = parse_ip_address("fe80::fe").value();
  ScriptedPlace written;
  give_place(written, old_word, new_one, [] {});
  // The new one answers at once.
  NeighbourWord answered = NeighbourWord::from(written.script.back().value);
  answered.neighbour = {router_mac, State::reachable};
  written.store_word(answered.bits());
  constexpr std::size_t stores = 5;
  ASSERT_EQ(written.script.size(), stores);

  int believed = 0;
  int interleavings = 0;
  // How many stores come before each of the four loads; the rest comes behind the last.
  for (std::size_t code = 0; code < 6 * 6 * 6 * 6; ++code) {
    const std::vector<std::size_t> pauses{code % 6, code / 6 % 6, code / 36 % 6, code / 216};
    if (pauses[0] + pauses[1] + pauses[2] + pauses[3] > stores) continue;
    ScriptedPlace place;
    place.word = old_word;
    place.address = pack(old_one);
    place.script = written.script;
    place.pauses = pauses;
    ++interleavings;
    const auto seen = look_at(place);
    if (!seen) continue;
    ++believed;
    const MacAddress& mac = seen->word.neighbour.mac;
    if (seen->address == old_one) {
      EXPECT_EQ(mac, peer_mac) << "code " << code;
    } else {
      EXPECT_EQ(seen->address, new_one) << "code " << code;
      EXPECT_TRUE(mac == router_mac || mac == MacAddress{}) << "answered, or not yet";
    }
  }
  EXPECT_EQ(interleavings, 126);
  EXPECT_EQ(believed, 6) << "one of the old, five of the new";
}

TEST(NeighbourWord, holds_every_part) {
  for (const State state : {State::none, State::claimed, State::reachable, State::unreachable}) {
    const NeighbourWord word{.neighbour = {{0xfe, 1, 2, 3, 4, 0xff}, state}, .generation = 8191};
    const NeighbourWord again = NeighbourWord::from(word.bits());
    EXPECT_EQ(again.neighbour, word.neighbour);
    EXPECT_EQ(again.generation, 8191);
    EXPECT_EQ(word.claimed().generation, 0);
  }
}

TEST(Neighbours, threads_never_read_one_neighbours_mac_for_another) {
  // Every address has a MAC that is a function of it; writers evict each other all the time.
  const auto mac_of = [](const Ipv4Address& address) {
    return MacAddress{2, 0, address[0], address[1], address[2], address[3]};
  };
  Neighbours table(std::nullopt, std::nullopt, start);
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> wrong = 0;
  std::atomic<std::uint64_t> right = 0;
  const auto read = [&] {
    while (!stop) {
      for (std::uint32_t i = 0; i < 256; ++i) {
        const Neighbour neighbour = table.find(numbered(i));
        if (!neighbour.usable()) continue;
        ++(neighbour.mac == mac_of(numbered(i)) ? right : wrong);
      }
    }
  };
  const auto write = [&](std::uint32_t first) {
    for (std::uint32_t round = 0; round < 20'000; ++round) {
      const Ipv4Address address = numbered(first + round * 7 % 128);
      const Time now = start + seconds(round);
      static_cast<void>(table.suspect(address, now));
      table.heard(address, mac_of(address), true, now);
      static_cast<void>(table.due(round % Neighbours::places, now));
    }
  };
  std::vector<std::thread> readers;
  readers.emplace_back(read);
  readers.emplace_back(read);
  std::thread one(write, 0);
  std::thread two(write, 100);  // some are the other's too
  one.join();
  two.join();
  stop = true;
  for (std::thread& reader : readers)
    reader.join();
  EXPECT_EQ(wrong, 0U);
  EXPECT_GT(right, 0U);
}

// What may be asked for.

std::string complaint(std::optional<Ipv4Address> address, unsigned bits,
                      std::optional<Ipv4Address> gateway = std::nullopt) {
  EngineConfig config;
  config.address = address;
  config.prefix_bits = static_cast<std::uint8_t>(bits);
  config.gateway = gateway;
  const auto host = make_host_config(config, {.mac = our_mac, .owns_interface = true});
  return host ? std::string() : host.error().message();
}

TEST(HostConfig, takes_hosts_addresses_and_gateways_in_their_network) {
  EXPECT_EQ(complaint(us, 24), "");
  EXPECT_EQ(complaint(us, 24, router), "");
  EXPECT_EQ(complaint(Ipv4Address{10, 0, 0, 0}, 31, Ipv4Address{10, 0, 0, 1}), "")
      << "a point-to-point link has no broadcast address";
  EXPECT_EQ(complaint(Ipv4Address{10, 0, 1, 0}, 16), "");
}

TEST(HostConfig, says_what_is_wrong_and_what_would_be_right) {
  const auto expect = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text << "\nlacks: " << part;
  };
  expect(complaint(std::nullopt, 24), "--address 10.0.0.1/24");
  for (const unsigned bits : {0U, 32U, 200U})
    expect(complaint(us, bits), "1 to 31");
  expect(complaint(Ipv4Address{10, 0, 0, 0}, 24), "first or last address");
  expect(complaint(Ipv4Address{10, 0, 0, 255}, 24), "10.0.0.255 is the first or last");
  for (const Ipv4Address address : {Ipv4Address{0, 0, 0, 1}, Ipv4Address{127, 0, 0, 1},
                                    Ipv4Address{224, 0, 0, 1}, Ipv4Address{255, 255, 255, 255}})
    expect(complaint(address, 24), "no single host");
  expect(complaint(us, 24, us), "own address");
  expect(complaint(us, 24, far_away), "198.51.100.7 is not in the network of 10.0.0.1/24");
  expect(complaint(us, 24, Ipv4Address{10, 0, 0, 255}), "no single host's address");
}

}  // namespace
}  // namespace strictsend::engine
