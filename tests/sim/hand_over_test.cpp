// SPDX-License-Identifier: Apache-2.0
// Several loops on one port whose packets arrive on whatever queue the test says: what belongs to
// another loop's connection gets there, and what belongs to none is answered once.
#include <algorithm>
#include <cerrno>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sim/one_file_engine.hpp"

namespace strictsend::testing {
namespace {

/// Whether a frame opens a connection, and of which client.
struct Arrived {
  bool opening = false;
  std::uint16_t port = 0;
};
Arrived look_at(std::span<const std::byte> frame) {
  const auto packet = wire::parse_tcp_packet(frame, nic::RxChecksum::good);
  if (!packet) return {};  // damaged on the way
  return {packet->flags.syn && !packet->flags.ack, packet->source_port};
}

class HandOverOnSim : public OneFileEngine {
 protected:
  void start(std::uint32_t loops, SteeringPort::Steer steer, std::size_t file_bytes) {
    options.loops = loops;
    options.steer = std::move(steer);
    options.sim.tap = [this](Time, std::span<const std::byte> frame) {
      const auto packet = wire::parse_tcp_packet(frame, nic::RxChecksum::good);
      if (packet && packet->flags.rst) ++resets_sent[packet->destination_port];
    };
    start_engine(file_bytes);
    if (HasFatalFailure()) return;
    engine->on_event = [this](const Event& event) {
      if (event.kind == Event::Kind::accepted) accepted.push_back(event.connection);
      if (event.kind == Event::Kind::released) ++released[event.result.error];
      if (event.kind == Event::Kind::closed) ++closed;
      if (event.kind == Event::Kind::accepted && send_when_accepted) send(event.connection);
    };
  }
  void send(ConnectionId connection) {
    auto snapshot = engine->cache().freeze(file, 0, content.size());
    ASSERT_TRUE(snapshot) << snapshot.error().message();
    engine->submit(connection, *snapshot, {}, {}, 0);
  }
  SimClient& connect(std::uint16_t port) { return engine->connect({.port = port}); }
  bool run_until_released(std::size_t wanted, Duration limit = seconds(300)) {
    return engine->run_until(
        [&] {
          std::size_t all = 0;
          for (const auto& [error, count] : released)
            all += count;
          return all >= wanted;
        },
        limit);
  }
  bool has_content(const SimClient& client) const {
    return std::ranges::equal(client.received(), std::as_bytes(std::span(content)));
  }
  std::uint64_t handed_over(std::uint32_t loop) const {
    return engine->loop(loop).counters().segments_handed_over.get();
  }

  bool send_when_accepted = true;
  std::vector<ConnectionId> accepted;
  std::map<int, std::size_t> released;  ///< by error
  std::size_t closed = 0;
  std::map<std::uint16_t, int> resets_sent;  ///< by client
};

TEST_F(HandOverOnSim,
       a_download_completes_though_every_segment_but_its_syn_comes_to_another_queue) {
  start(
      2, [](auto frame) { return look_at(frame).opening ? 0U : 1U; }, 500'000);
  SimClient& client = connect(4000);
  ASSERT_TRUE(run_until_released(1));
  EXPECT_EQ(released[0], 1U);
  EXPECT_TRUE(has_content(client));
  EXPECT_EQ(engine->loop(0).counters().connections_accepted.get(), 1U);
  EXPECT_EQ(engine->loop(1).counters().connections_accepted.get(), 0U);
  EXPECT_GT(handed_over(1), 100U);
  EXPECT_EQ(handed_over(0), 0U);
  EXPECT_EQ(engine->loop(1).counters().segments_sent.get(), 0U);
  EXPECT_TRUE(resets_sent.empty());
}

TEST_F(HandOverOnSim, downloads_complete_on_a_lossy_path_wherever_their_segments_come_to) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    file.reset();
    engine.reset();
    accepted.clear();
    released.clear();
    options.sim = {};
    options.sim.seed = seed;
    for (nic::SimPath* path : {&options.sim.to_peer, &options.sim.from_peer}) {
      path->delay = milliseconds(5);
      path->loss_ppm = 30'000;
      path->reorder_ppm = 20'000;
      path->duplicate_ppm = 5'000;
    }
    std::mt19937 random(static_cast<unsigned>(seed));
    start(
        3, [&](auto) { return random() % 3; }, 200'000);
    std::vector<SimClient*> clients;
    for (std::uint16_t i = 0; i < 8; ++i)
      clients.push_back(&connect(static_cast<std::uint16_t>(4000 + i)));
    ASSERT_TRUE(run_until_released(clients.size(), seconds(600)));
    EXPECT_EQ(released[0], clients.size());
    for (const SimClient* client : clients)
      EXPECT_TRUE(has_content(*client)) << client->port();
    for (std::uint32_t loop = 0; loop < 3; ++loop)
      EXPECT_GT(handed_over(loop), 0U);
    engine->on_event = nullptr;
  }
}

TEST_F(HandOverOnSim, a_segment_of_no_connection_goes_round_once_and_is_answered_where_it_came) {
  start(
      3, [](auto) { return 1U; }, 1'000);
  SimClient& stranger = connect(4000);
  ASSERT_TRUE(engine->run_until([&] { return stranger.established(); }, seconds(10)));
  engine->run_for(seconds(1));
  engine->abort(accepted.at(0));
  engine->run_for(seconds(1));
  ASSERT_EQ(closed, 1U);
  ASSERT_TRUE(stranger.was_reset());
  const int resets_before = resets_sent[4000];

  // The same client as if it had not heard: its segment is of no connection any more.
  const std::array<std::uint64_t, 3> handed_before{handed_over(0), handed_over(1), handed_over(2)};
  wire::TcpHeaderTemplate header(wire::FlowAddress{
      options.addresses.client_mac, options.addresses.engine_mac, options.addresses.client,
      options.addresses.engine, 4000, options.addresses.engine_port});
  std::array<std::byte, 128> frame{};
  const std::uint32_t length =
      header.emit(frame, {.seq = 1, .ack = 1, .window = 1000, .flags = {.ack = true}}, 0);
  engine->port().peer().inject(std::span(frame).first(length));
  engine->run_for(seconds(1));
  EXPECT_EQ(resets_sent[4000], resets_before + 1);
  for (std::uint32_t loop = 0; loop < 3; ++loop)
    EXPECT_EQ(handed_over(loop), handed_before[loop] + 1) << loop;
}

TEST_F(HandOverOnSim, a_reset_that_comes_to_another_queue_ends_its_connection) {
  start(
      2, [](auto frame) { return look_at(frame).opening ? 1U : 0U; }, 2'000'000);
  SimClient& client = connect(4000);
  ASSERT_TRUE(engine->run_until([&] { return client.received().size() > 100'000; }, seconds(60)));
  client.reset();
  ASSERT_TRUE(run_until_released(1));
  EXPECT_EQ(released[ECONNRESET], 1U);
}

TEST_F(HandOverOnSim, a_syn_answered_by_two_loops_ends_in_one_connection) {
  // The client repeats its SYN before the first answer is there, and Linux gives it a new queue.
  int opened = 0;
  options.sim.to_peer.delay = options.sim.from_peer.delay = milliseconds(200);
  options.edit = [](engine::LoopConfig& config) { config.tcp.idle_timeout = seconds(3'600); };
  start(
      2, [&](auto frame) { return look_at(frame).opening && opened++ == 0 ? 0U : 1U; }, 100'000);
  SimClient& client = connect(4000);
  ASSERT_TRUE(run_until_released(1));
  EXPECT_GE(opened, 2);
  EXPECT_EQ(released[0], 1U);
  EXPECT_TRUE(has_content(client));
  EXPECT_EQ(engine->loop(0).counters().connections_accepted.get(), 1U);
  EXPECT_EQ(engine->loop(1).counters().connections_accepted.get(), 0U);
  EXPECT_TRUE(resets_sent.empty());
  engine->run_for(seconds(600));
  EXPECT_FALSE(client.was_reset()) << "also when the handshake that came to nothing is given up";
}

TEST_F(HandOverOnSim, what_a_loop_that_is_held_up_cannot_take_is_lost_and_sent_again) {
  // One big download on loop 0; the hands of loop 1 are full of its acknowledgements meanwhile.
  start(
      2, [](auto frame) { return look_at(frame).opening ? 0U : 1U; }, 3'000'000);
  SimClient& client = connect(4000);
  ASSERT_TRUE(engine->run_until([&] { return client.received().size() > 500'000; }, seconds(60)));
  engine->hold_up(0, true);
  for (int i = 0; i < 2'000; ++i)
    client.offer_window(1 << 20, engine->now());
  engine->run_for(milliseconds(20));
  EXPECT_GT(engine->loop(1).counters().segments_hand_over_dropped.get(), 500U);
  engine->hold_up(0, false);
  ASSERT_TRUE(run_until_released(1));
  EXPECT_EQ(released[0], 1U);
  EXPECT_TRUE(has_content(client));
}

TEST_F(HandOverOnSim, an_engine_may_stop_while_segments_are_handed_over) {
  start(
      2, [](auto frame) { return look_at(frame).opening ? 0U : 1U; }, 3'000'000);
  SimClient& client = connect(4000);
  ASSERT_TRUE(engine->run_until([&] { return client.received().size() > 500'000; }, seconds(60)));
  engine->hold_up(0, true);
  const std::uint64_t before = handed_over(1);
  ASSERT_TRUE(engine->run_until([&] { return handed_over(1) > before + 10; }, seconds(10)));
  EXPECT_FALSE(engine->loop(0).intakes_empty());
}

TEST_F(HandOverOnSim, a_device_that_fails_under_one_loop_is_stopped_under_all) {
  options.sim.dma.lost_completion_ppm = 1'000'000;
  options.edit = [](engine::LoopConfig& config) { config.device_timeout = milliseconds(200); };
  start(
      3, [](auto frame) { return look_at(frame).port % 3; }, 2'000'000);
  connect(4000);
  ASSERT_TRUE(run_until_released(1, seconds(60)));
  engine->run_for(seconds(1));
  EXPECT_EQ(released[ENETDOWN], 1U);
  std::uint64_t faults = 0;
  for (std::uint32_t loop = 0; loop < 3; ++loop) {
    EXPECT_TRUE(engine->loop(loop).stopped());
    EXPECT_EQ(engine->loop(loop).packets_outstanding(), 0U);
    faults += engine->loop(loop).counters().device_faults.get();
  }
  EXPECT_EQ(faults, 1U);
}

}  // namespace
}  // namespace strictsend::testing
