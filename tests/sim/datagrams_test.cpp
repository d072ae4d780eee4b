// SPDX-License-Identifier: Apache-2.0
// Flows of datagrams on the simulated NIC: what an application and a peer see. That their bytes are
// the snapshots' whatever happens is oracle_test.cpp's.
#include <array>
#include <cerrno>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "nic/wire/udp_packet.hpp"
#include "tests/sim/one_file_engine.hpp"
#include "tests/support/icmp_errors.hpp"

namespace strictsend::testing {
namespace {

constexpr nic::MacAddress peer_mac{0x02, 0, 0, 0, 0, 0x02};
constexpr Ipv4Address peer_address{10, 0, 0, 2};

struct Came {
  Time at;
  nic::MacAddress to{};
  std::string payload;
};

class DatagramsOnSim : public OneFileEngine {
 protected:
  void start(std::size_t file_bytes) {
    options.cache.cache_bytes = 2048 * page_bytes;
    start_engine(file_bytes);
    if (HasFatalFailure()) return;
    engine->on_event = [this](const Event& event) {
      if (event.kind == Event::Kind::accepted) accepted = event.connection;
      events.push_back(event);
    };
    engine->at_peer = [this](std::span<const std::byte> frame) { return take(frame); };
  }

  bool take(std::span<const std::byte> frame) {
    if (const auto arp = wire::parse_arp_packet(frame)) {
      if (arp->target == peer_address && arp->target != arp->sender) {
        ++asked;
        if (answers_arp) answer(*arp);
      }
      return true;
    }
    const auto datagram = wire::parse_udp_packet(frame, nic::RxChecksum::unknown);
    if (!datagram) return false;
    EXPECT_EQ(datagram->destination_port, 5000);
    EXPECT_EQ(datagram->source_port, 4000);
    came.push_back({engine->now(), datagram->destination_mac,
                    std::string(reinterpret_cast<const char*>(datagram->payload.data()),
                                datagram->payload.size())});
    last_frame.assign(frame.begin(), frame.end());
    return true;
  }

  void answer(const wire::ArpPacket& question) {
    std::array<std::byte, wire::arp_frame_bytes> frame{};
    wire::emit_arp_packet(frame, {.source_mac = peer_mac,
                                  .destination_mac = question.sender_mac,
                                  .operation = wire::ArpOperation::reply,
                                  .sender_mac = peer_mac,
                                  .sender = peer_address,
                                  .target_mac = question.sender_mac,
                                  .target = question.sender});
    engine->port().peer().inject(frame);
  }

  DatagramFlowId open(std::uint64_t rate = 0, std::uint32_t payload_bytes = 1000) {
    SimEngine::DatagramOptions flow{.peer = peer_address};
    flow.payload_bytes = payload_bytes;
    flow.rate_bytes_per_s = rate;
    return engine->open_datagram_flow(flow);
  }
  std::uint64_t send(DatagramFlowId flow, std::uint64_t user_data,
                     const SimEngine::DatagramHeader& header = {}, bool notify_sent = false) {
    auto snapshot = engine->cache().freeze(file, 0, content.size());
    EXPECT_TRUE(snapshot) << snapshot.error().message();
    return engine->submit(flow, *snapshot, header, user_data, notify_sent);
  }
  [[nodiscard]] std::vector<Event> of_kind(Event::Kind kind) const {
    std::vector<Event> found;
    for (const Event& event : events)
      if (event.kind == kind && event.datagram_flow.generation != 0) found.push_back(event);
    return found;
  }
  /// And until what was released has arrived.
  bool run_until_released(std::size_t count, Duration limit = seconds(60)) {
    const bool all =
        engine->run_until([&] { return of_kind(Event::Kind::released).size() >= count; }, limit);
    engine->run_for(milliseconds(1));
    return all;
  }
  [[nodiscard]] std::string received() const {
    std::string all;
    for (const Came& datagram : came)
      all += datagram.payload;
    return all;
  }

  std::vector<Event> events;
  std::optional<ConnectionId> accepted;
  std::vector<Came> came;
  std::vector<std::byte> last_frame;
  bool answers_arp = true;
  int asked = 0;
};

TEST_F(DatagramsOnSim, carry_slices_behind_their_header_whose_fields_count) {
  start(2500);
  using namespace std::string_literals;
  const DatagramFlowId flow = open();
  send(flow, 7, {.bytes = "<\x01\xff\x00\x00>"s, .sequence = {1, 2}, .byte_offset = {3, 2}});
  ASSERT_TRUE(run_until_released(1));
  ASSERT_EQ(came.size(), 3U);
  EXPECT_EQ(came[0].payload, "<\x01\xff\x00\x00>"s + content.substr(0, 1000));
  EXPECT_EQ(came[1].payload, "<\x02\x00\x03\xe8>"s + content.substr(1000, 1000));
  EXPECT_EQ(came[2].payload, "<\x02\x01\x07\xd0>"s + content.substr(2000));
  const SpliceResult result = of_kind(Event::Kind::released).at(0).result;
  EXPECT_EQ(result.bytes_sent, 2500U);
  EXPECT_EQ(result.datagrams_sent, 3U);
  EXPECT_EQ(result.bytes_copied, 0U);
  EXPECT_TRUE(engine->stop_and_settle());
}

TEST_F(DatagramsOnSim, are_sent_when_handed_over_and_released_when_the_device_is_done) {
  options.sim.dma.completion_lateness_max = milliseconds(20);
  options.sim.dma.completes_in_order = false;
  start(20'000);
  const DatagramFlowId flow = open();
  send(flow, 1, {}, true);
  ASSERT_TRUE(run_until_released(1));
  const auto sent = of_kind(Event::Kind::sent);
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].datagram_flow, flow);
  EXPECT_EQ(sent[0].user_data, 1U);
  EXPECT_EQ(sent[0].result.datagrams_sent, 20U);
  EXPECT_EQ(engine->loop().packets_outstanding(), 0U);
  EXPECT_TRUE(engine->stop_and_settle());
}

TEST_F(DatagramsOnSim, keep_their_rate) {
  start(100'000);
  send(open(1'000'000), 1);
  ASSERT_TRUE(run_until_released(1));
  ASSERT_EQ(came.size(), 100U);
  // 100 kB at 1 MB/s, the first two at once; a timer may be a tick late.
  const Duration took = came.back().at - came.front().at;
  EXPECT_GE(took, milliseconds(97));
  EXPECT_LE(took, milliseconds(100));
  EXPECT_TRUE(engine->stop_and_settle());
}

TEST_F(DatagramsOnSim, cancelled_in_the_middle_leave_the_flow_to_those_behind) {
  start(50'000);
  const DatagramFlowId flow = open(1'000'000);
  const std::uint64_t first = send(flow, 1);
  send(flow, 2);
  engine->run_for(milliseconds(10));
  engine->cancel(first);
  ASSERT_TRUE(run_until_released(2));
  const auto released = of_kind(Event::Kind::released);
  EXPECT_EQ(released[0].user_data, 1U);
  EXPECT_EQ(released[0].result.error, ECANCELED);
  EXPECT_LT(released[0].result.datagrams_sent, 20U);
  EXPECT_GT(released[0].result.datagrams_sent, 5U);
  EXPECT_EQ(released[1].result.error, 0);
  EXPECT_EQ(released[1].result.datagrams_sent, 50U);
  EXPECT_TRUE(engine->stop_and_settle());
}

TEST_F(DatagramsOnSim, closed_end_behind_what_was_submitted) {
  start(30'000);
  const DatagramFlowId flow = open(1'000'000);
  send(flow, 1);
  engine->close(flow);
  engine->run_for(milliseconds(5));
  send(flow, 2);
  ASSERT_TRUE(run_until_released(2));
  const auto released = of_kind(Event::Kind::released);
  EXPECT_EQ(released[0].user_data, 2U) << "refused at once";
  EXPECT_EQ(released[0].result.error, EPIPE);
  EXPECT_EQ(released[1].result.error, 0);
  EXPECT_TRUE(received() == content);
  ASSERT_EQ(of_kind(Event::Kind::closed).size(), 1U);
  EXPECT_EQ(of_kind(Event::Kind::closed)[0].result.error, 0);
  EXPECT_EQ(events.back().kind, Event::Kind::closed);

  send(flow, 3);
  ASSERT_TRUE(run_until_released(3));
  EXPECT_EQ(of_kind(Event::Kind::released)[2].result.error, ENOTCONN) << "its id is stale";
  EXPECT_EQ(engine->loop().counters().datagram_flows_open.get(), 0U);
  EXPECT_TRUE(engine->stop_and_settle());
}

TEST_F(DatagramsOnSim, aborted_send_no_more) {
  start(30'000);
  const DatagramFlowId flow = open(1'000'000);
  send(flow, 1);
  send(flow, 2);
  engine->run_for(milliseconds(5));
  engine->abort(flow);
  ASSERT_TRUE(run_until_released(2, milliseconds(5)));
  for (const Event& event : of_kind(Event::Kind::released))
    EXPECT_EQ(event.result.error, ECONNABORTED);
  ASSERT_TRUE(engine->run_until([&] { return !of_kind(Event::Kind::closed).empty(); }, seconds(1)));
  EXPECT_EQ(of_kind(Event::Kind::closed)[0].result.error, ECONNABORTED);
  EXPECT_TRUE(engine->stop_and_settle());
}

TEST_F(DatagramsOnSim, wait_until_somebody_has_found_the_next_hop) {
  start(3000);
  SimEngine::DatagramOptions unknown{.peer = peer_address};
  unknown.next_hop = {};
  const DatagramFlowId flow = engine->open_datagram_flow(unknown);
  send(flow, 1);
  engine->run_for(seconds(2));
  EXPECT_TRUE(came.empty());
  engine->next_hop_is(flow, {nic::NextHop::State::found, peer_mac});
  ASSERT_TRUE(run_until_released(1, milliseconds(5)));
  EXPECT_EQ(of_kind(Event::Kind::released)[0].result.error, 0);

  const nic::MacAddress moved{2, 0, 0, 0, 0, 0x22};
  engine->next_hop_is(flow, {nic::NextHop::State::found, moved});
  send(flow, 2);
  ASSERT_TRUE(run_until_released(2, milliseconds(5)));
  EXPECT_EQ(came.front().to, peer_mac);
  EXPECT_EQ(came.back().to, moved);

  engine->next_hop_is(flow, {nic::NextHop::State::unreachable, {}});
  send(flow, 3);
  send(flow, 4);
  ASSERT_TRUE(run_until_released(4, milliseconds(5)));
  EXPECT_EQ(of_kind(Event::Kind::released)[3].result.error, EHOSTUNREACH);
  EXPECT_EQ(engine->loop().counters().datagram_splices_unreachable.get(), 2U);
  EXPECT_TRUE(engine->stop_and_settle());
}

TEST_F(DatagramsOnSim, ask_by_arp_where_the_engine_owns_the_interface) {
  options.sim.owns_interface = true;
  start(3000);
  const DatagramFlowId flow = open();
  send(flow, 1);
  ASSERT_TRUE(run_until_released(1, milliseconds(50)));
  EXPECT_EQ(asked, 1);
  EXPECT_TRUE(received() == content);
  // It is asked again now and then although it is in use, for nothing confirms it.
  for (std::uint64_t i = 2; i <= 50; ++i) {
    send(flow, i);
    engine->run_for(seconds(2));
  }
  EXPECT_TRUE(run_until_released(50));
  EXPECT_GE(asked, 3);
  EXPECT_LE(asked, 10);
  EXPECT_EQ(came.size(), 150U);
  EXPECT_TRUE(engine->stop_and_settle());
}

TEST_F(DatagramsOnSim, fail_when_nobody_answers_arp_and_go_out_once_somebody_does) {
  options.sim.owns_interface = true;
  answers_arp = false;
  start(3000);
  const DatagramFlowId flow = open();
  send(flow, 1);
  send(flow, 2);
  const Time begin = engine->now();
  ASSERT_TRUE(run_until_released(2, seconds(10)));
  EXPECT_GE(engine->now() - begin, seconds(2));
  for (const Event& event : of_kind(Event::Kind::released))
    EXPECT_EQ(event.result.error, EHOSTUNREACH);
  EXPECT_GE(asked, 3);
  EXPECT_TRUE(came.empty());

  answers_arp = true;
  engine->run_for(seconds(60));
  send(flow, 3);
  ASSERT_TRUE(run_until_released(3, seconds(2)));
  EXPECT_EQ(of_kind(Event::Kind::released)[2].result.error, 0) << "asked for anew";
  EXPECT_TRUE(engine->stop_and_settle());
}

TEST_F(DatagramsOnSim, wait_for_an_answer_of_their_own_after_others_were_cancelled) {
  options.sim.owns_interface = true;
  answers_arp = false;
  start(3000);
  const DatagramFlowId flow = open();
  const std::uint64_t first = send(flow, 1);
  engine->run_for(milliseconds(100));
  engine->cancel(first);
  ASSERT_TRUE(run_until_released(1, milliseconds(5)));
  EXPECT_EQ(of_kind(Event::Kind::released)[0].result.error, ECANCELED);
  // Nobody waits, and by now the neighbour's entry says that it did not answer.
  engine->run_for(seconds(30));
  answers_arp = true;
  send(flow, 2);
  ASSERT_TRUE(run_until_released(2, seconds(2)));
  EXPECT_EQ(of_kind(Event::Kind::released)[1].result.error, 0);
  EXPECT_TRUE(engine->stop_and_settle());
}

TEST_F(DatagramsOnSim, that_nobody_listens_for_are_counted_and_sent_on) {
  options.sim.owns_interface = true;
  start(1000);
  const DatagramFlowId flow = open();
  send(flow, 1);
  ASSERT_TRUE(run_until_released(1));
  engine->port().peer().inject(test::port_unreachable(last_frame, 28));
  engine->run_for(milliseconds(1));
  EXPECT_EQ(engine->loop().counters().datagrams_refused.get(), 1U);
  send(flow, 2);
  ASSERT_TRUE(run_until_released(2));
  EXPECT_EQ(of_kind(Event::Kind::released)[1].result.error, 0);
  EXPECT_TRUE(engine->stop_and_settle());
}

TEST_F(DatagramsOnSim, without_a_rate_leave_a_connection_its_share) {
  options.sim.link_bits_per_second = 100'000'000;
  start(2'000'000);
  const auto download = [&] {
    SimClient::Options client;
    client.port = static_cast<std::uint16_t>(40'000 + events.size() % 1000);
    SimClient& receiver = engine->connect(client);
    accepted.reset();
    EXPECT_TRUE(engine->run_until([&] { return accepted.has_value(); }, seconds(60)));
    const Time begin = engine->now();
    auto snapshot = engine->cache().freeze(file, 0, content.size());
    EXPECT_TRUE(snapshot);
    engine->submit(*accepted, *snapshot, "", "", 0);
    EXPECT_TRUE(engine->run_until([&] { return receiver.received().size() == content.size(); },
                                  seconds(60)));
    return engine->now() - begin;
  };
  const Duration alone = download();
  const DatagramFlowId flow = open();
  for (std::uint64_t i = 0; i < 8; ++i)
    send(flow, i);
  const Duration beside = download();
  EXPECT_LT(beside, alone * 4);
  EXPECT_LT(came.size(), 16'000U) << "the flow was not done before";
  EXPECT_GT(came.size(), 500U) << "nor was it kept waiting";
  EXPECT_TRUE(run_until_released(8));
  EXPECT_TRUE(engine->stop_and_settle());
}

TEST_F(DatagramsOnSim, that_wait_for_the_device_keep_no_thread_awake) {
  // Once it is the port's ring that is full, once the slots that are not kept for others.
  for (const std::size_t ring : {64U, 1024U}) {
    options.sim.tx_ring_packets = ring;
    options.sim.dma.completion_lateness_max = seconds(1);
    start(2'000'000);
    send(open(), 1);
    int sleepless = 0;
    engine->between = [&] { sleepless += engine->loop().has_work() ? 1 : 0; };
    engine->run_for(milliseconds(10));
    EXPECT_GT(engine->loop().packets_outstanding(), 50U);
    EXPECT_FALSE(engine->loop().has_work());
    EXPECT_LT(sleepless, 50) << "beside the turns in which it hands packets over";
    engine->between = nullptr;
    ASSERT_TRUE(run_until_released(1)) << "what the device completes brings it back";
    EXPECT_EQ(of_kind(Event::Kind::released)[0].result.datagrams_sent, 2000U);
    EXPECT_TRUE(received() == content);
    file.reset();
    EXPECT_TRUE(engine->stop_and_settle());
    events.clear();
    came.clear();
  }
}

TEST_F(DatagramsOnSim, end_with_their_device) {
  start(100'000);
  const DatagramFlowId flow = open(1'000'000);
  send(flow, 1);
  engine->run_for(milliseconds(20));
  engine->port().remove();
  ASSERT_TRUE(run_until_released(1));
  EXPECT_EQ(of_kind(Event::Kind::released)[0].result.error, ENETDOWN);
  ASSERT_TRUE(engine->run_until([&] { return !of_kind(Event::Kind::closed).empty(); }, seconds(1)));
  EXPECT_EQ(of_kind(Event::Kind::closed)[0].result.error, ENETDOWN);
  open();
  engine->run_for(milliseconds(1));
  EXPECT_EQ(of_kind(Event::Kind::closed).size(), 2U) << "nor is there another one on it";
  EXPECT_TRUE(engine->stop_and_settle());
}

TEST_F(DatagramsOnSim, under_a_device_that_is_stopped_say_that_they_were_dropped) {
  options.sim.dma.lateness_max = seconds(5);
  options.sim.dma.completion_lateness_max = seconds(5);
  start(10'000);
  send(open(), 1);
  engine->run_for(milliseconds(1));
  ASSERT_GT(engine->loop().packets_outstanding(), 0U);
  EXPECT_TRUE(of_kind(Event::Kind::released).empty());
  EXPECT_TRUE(engine->stop_and_settle());
  const auto released = of_kind(Event::Kind::released);
  ASSERT_EQ(released.size(), 1U);
  EXPECT_EQ(released[0].result.error, ECONNABORTED);
  EXPECT_EQ(released[0].result.datagrams_sent, 10U);
  EXPECT_GT(released[0].result.datagrams_dropped, 0U);
}

}  // namespace
}  // namespace strictsend::testing
