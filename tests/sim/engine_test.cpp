// SPDX-License-Identifier: Apache-2.0
// A whole engine on the simulated NIC: what an application and its peers see.
#include <atomic>
#include <cerrno>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sim/one_file_engine.hpp"

namespace strictsend::testing {
namespace {

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// An engine with one file, and an application that remembers its events.
class EngineOnSim : public OneFileEngine, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override { options.linear = GetParam(); }

  void start(std::size_t file_bytes) {
    start_engine(file_bytes);
    if (HasFatalFailure()) return;
    engine->on_event = [this](const Event& event) {
      events.push_back(event);
      if (event.kind == Event::Kind::accepted) accepted.push_back(event.connection);
    };
  }

  ConnectionId connect(SimClient*& client, SimClient::Options client_options = {}) {
    client_options.port = static_cast<std::uint16_t>(40000 + accepted.size());
    client = &engine->connect(client_options);
    const std::size_t wanted = accepted.size() + 1;
    EXPECT_TRUE(engine->run_until([&] { return accepted.size() == wanted; }, seconds(60)));
    return accepted.back();
  }

  std::uint64_t send(ConnectionId connection, std::string_view header = {},
                     std::string_view trailer = {}, std::uint64_t user_data = 0,
                     bool notify_sent = false) {
    auto snapshot = engine->cache().freeze(file, 0, content.size());
    EXPECT_TRUE(snapshot) << snapshot.error().message();
    return engine->submit(connection, *snapshot, header, trailer, user_data, notify_sent);
  }

  void rewrite_all() {
    const std::string other(content.size(), '#');
    const auto written = pagecache::file_write(*file, std::as_bytes(std::span(other)), 0);
    ASSERT_TRUE(written);
    ASSERT_EQ(*written, content.size());
  }

  std::size_t count(Event::Kind kind) const {
    return static_cast<std::size_t>(std::count_if(
        events.begin(), events.end(), [kind](const Event& event) { return event.kind == kind; }));
  }
  const Event* last(Event::Kind kind) const {
    for (auto at = events.rbegin(); at != events.rend(); ++at) {
      if (at->kind == kind) return &*at;
    }
    return nullptr;
  }
  bool run_until_count(Event::Kind kind, std::size_t wanted, Duration limit = seconds(300)) {
    return engine->run_until([&] { return count(kind) >= wanted; }, limit);
  }

  std::vector<Event> events;
  std::vector<ConnectionId> accepted;
};

/// What concerns pages under descriptors, of which linear packets keep none.
class FragmentsOnSim : public EngineOnSim {};
INSTANTIATE_TEST_SUITE_P(Forms, FragmentsOnSim, ::testing::Values(false));

INSTANTIATE_TEST_SUITE_P(Forms, EngineOnSim, ::testing::Bool(), [](const auto& form) {
  return form.param ? std::string("linear") : std::string("fragments");
});

TEST_P(EngineOnSim, a_connection_that_waits_for_packet_slots_keeps_no_thread_awake) {
  options.edit = [](engine::LoopConfig& config) { config.tx_slots = 8; };
  options.sim.dma.completion_lateness_max = milliseconds(200);
  start(200'000);
  SimClient* client = nullptr;
  const ConnectionId connection = connect(client);
  send(connection);
  engine->run_for(milliseconds(5));
  EXPECT_EQ(engine->loop().packets_outstanding(), 8U);
  EXPECT_FALSE(engine->loop().has_work());
  ASSERT_TRUE(run_until_count(Event::Kind::released, 1));
  EXPECT_EQ(text_of(client->received()), content);
}

TEST_P(EngineOnSim, sends_header_file_and_trailer_in_order) {
  start(100'000);
  SimClient* client = nullptr;
  const ConnectionId connection = connect(client);
  client->send("GET", engine->now());
  ASSERT_TRUE(run_until_count(Event::Kind::readable, 1));
  EXPECT_EQ(engine->receive(connection), "GET");

  send(connection, "header ", " trailer", 77, true);
  ASSERT_TRUE(run_until_count(Event::Kind::released, 1));
  EXPECT_EQ(text_of(client->received()), "header " + content + " trailer");
  ASSERT_EQ(count(Event::Kind::sent), 1U);
  const Event& released = *last(Event::Kind::released);
  EXPECT_EQ(released.user_data, 77U);
  EXPECT_EQ(released.result.error, 0);
  EXPECT_EQ(released.result.bytes_sent, content.size() + 15);
  EXPECT_EQ(released.result.bytes_acked, content.size() + 15);
  EXPECT_EQ(released.result.bytes_copied, GetParam() ? content.size() : 0U);
}

TEST_P(EngineOnSim, checksums_in_software_and_by_the_device_are_both_right) {
  options.sim.checksum_offload = true;
  start(50'001);
  SimClient* client = nullptr;
  send(connect(client), "odd", "x");
  ASSERT_TRUE(run_until_count(Event::Kind::released, 1));
  EXPECT_EQ(text_of(client->received()), "odd" + content + "x");
}

TEST_P(FragmentsOnSim, the_port_cuts_what_tcp_sends_in_one_piece) {
  options.sim.checksum_offload = true;
  options.sim.segmented_bytes_max = 65535;
  start(4'000'000);
  SimClient* client = nullptr;
  const ConnectionId connection = connect(client);
  std::uint64_t pinned_max = 0;
  engine->between = [&] {
    pinned_max = std::max(pinned_max, engine->cache().stats().frames_pinned);
  };
  send(connection, "header ", " trailer", 77, true);
  ASSERT_TRUE(run_until_count(Event::Kind::released, 1));
  EXPECT_EQ(text_of(client->received()), "header " + content + " trailer");
  EXPECT_EQ(last(Event::Kind::released)->result.bytes_copied, 0U);
  const std::uint64_t handed = engine->port().queue(0).counters().tx_packets;
  const std::uint64_t left = engine->port().stats().to_peer.sent;
  EXPECT_GT(left, content.size() / 1448);
  EXPECT_LT(handed, left / 4) << "several packets at a time";
  EXPECT_EQ(engine->loop().counters().segments_sent.get(), left) << "counted as on the wire";
  EXPECT_GT(pinned_max, 17U);
  EXPECT_EQ(engine->cache().stats().frames_pinned, 0U);
}

TEST_P(FragmentsOnSim, cut_packets_carry_pipelined_splices_with_short_ones_between) {
  options.sim.checksum_offload = true;
  options.sim.segmented_bytes_max = 65535;
  options.sim.header_headroom_bytes = 24;
  options.sim.max_fragment_bytes = 4096 - 24;
  options.sim.segmented_fragments_max = 7;
  options.sim.max_fragments = 5;
  start(30'001);
  SimClient* client = nullptr;
  const ConnectionId connection = connect(client);
  std::string expected;
  for (std::uint64_t i = 0; i < 60; ++i) {
    const std::string header(1 + i * i, static_cast<char>('a' + i % 26));
    const std::size_t offset = (i * 977) % content.size();
    const std::size_t length = i % 3 == 0 ? content.size() - offset : 1 + i * 31;
    auto snapshot = engine->cache().freeze(file, offset, length);
    ASSERT_TRUE(snapshot) << snapshot.error().message();
    engine->submit(connection, *snapshot, i % 2 == 0 ? header : "", i % 5 == 0 ? header : "", i);
    if (i % 2 == 0) expected += header;
    expected += content.substr(offset, length);
    if (i % 5 == 0) expected += header;
  }
  engine->close(connection);
  ASSERT_TRUE(run_until_count(Event::Kind::released, 60));
  ASSERT_TRUE(engine->run_until([&] { return client->peer_closed(); }, seconds(60)));
  EXPECT_TRUE(text_of(client->received()) == expected);
}

TEST_P(FragmentsOnSim, cut_downloads_finish_at_five_percent_loss_with_delay_and_reordering) {
  options.cache.cache_bytes = 1024 * page_bytes;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    events.clear();
    accepted.clear();
    file.reset();
    engine.reset();
    options.sim = {};
    options.sim.seed = seed;
    options.sim.checksum_offload = true;
    options.sim.segmented_bytes_max = seed % 2 == 0 ? 65535 : 20'000;
    options.sim.fragment_crosses_page = seed % 3 == 0;
    options.sim.dma.lateness_max = microseconds(500);
    options.sim.dma.completion_lateness_max = milliseconds(5);
    options.sim.dma.completes_in_order = seed % 2 == 0;
    for (nic::SimPath* path : {&options.sim.to_peer, &options.sim.from_peer}) {
      path->delay = milliseconds(25);
      path->loss_ppm = seed <= 5 ? 50'000 : 2'000;  // the latter lets windows grow
      path->reorder_ppm = 20'000;
      path->duplicate_ppm = 5'000;
      path->corrupt_ppm = 1'000;
    }
    start(1'000'000);
    SimClient::Options client_options;
    client_options.timestamps = seed % 4 < 2;
    SimClient* client = nullptr;
    const ConnectionId connection = connect(client, client_options);
    send(connection, "h");
    rewrite_all();
    ASSERT_TRUE(run_until_count(Event::Kind::released, 1, seconds(600)));
    ASSERT_EQ(last(Event::Kind::released)->result.error, 0);
    EXPECT_TRUE(text_of(client->received()) == "h" + content);
    EXPECT_GT(engine->loop().counters().segments_retransmitted.get(), 0U);
    EXPECT_GT(engine->port().stats().to_peer.sent,
              engine->port().queue(0).counters().tx_packets + (seed <= 5 ? 0 : 50));
    EXPECT_EQ(engine->port().stats().changed_under_descriptor, 0U);
  }
}

TEST_P(FragmentsOnSim, a_peer_with_a_tiny_mss_is_sent_packets_of_it) {
  options.sim.checksum_offload = true;
  options.sim.segmented_bytes_max = 65535;
  start(100'000);
  SimClient::Options tiny;
  tiny.mss = 300;
  SimClient* client = nullptr;
  send(connect(client, tiny));
  ASSERT_TRUE(run_until_count(Event::Kind::released, 1));
  EXPECT_TRUE(text_of(client->received()) == content);
  EXPECT_EQ(engine->port().stats().to_peer.sent, engine->port().queue(0).counters().tx_packets);
}

TEST_P(EngineOnSim, every_download_finishes_at_five_percent_loss_with_delay_and_reordering) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    events.clear();
    accepted.clear();
    file.reset();
    engine.reset();
    options.sim = {};
    options.sim.seed = seed;
    for (nic::SimPath* path : {&options.sim.to_peer, &options.sim.from_peer}) {
      path->delay = milliseconds(25);  // 50 ms there and back
      path->loss_ppm = 50'000;
      path->reorder_ppm = 20'000;
      path->duplicate_ppm = 5'000;
    }
    start(300'000);
    SimClient* client = nullptr;
    const ConnectionId connection = connect(client);
    client->send("GET", engine->now());
    ASSERT_TRUE(run_until_count(Event::Kind::readable, 1));
    send(connection, "h");
    ASSERT_TRUE(run_until_count(Event::Kind::released, 1, seconds(600)));
    ASSERT_EQ(last(Event::Kind::released)->result.error, 0);
    EXPECT_EQ(text_of(client->received()), "h" + content);
    EXPECT_GT(engine->loop().counters().segments_retransmitted.get(), 0U);
  }
}

TEST_P(EngineOnSim, pipelined_splices_keep_their_order_and_their_own_instants) {
  start(10'000);
  SimClient* client = nullptr;
  const ConnectionId connection = connect(client);
  std::string expected;
  for (std::uint64_t i = 0; i < 20; ++i) {
    const std::string word = "version " + std::to_string(i);
    ASSERT_TRUE(pagecache::file_write(*file, std::as_bytes(std::span(word)), 4090));
    content.replace(4090, word.size(), word);
    expected += std::to_string(i) + ":" + content;
    send(connection, std::to_string(i) + ":", {}, i);
  }
  ASSERT_TRUE(run_until_count(Event::Kind::released, 20));
  EXPECT_EQ(text_of(client->received()), expected);
}

TEST_P(EngineOnSim, both_sides_close_and_the_slot_is_used_again) {
  options.edit = [](engine::LoopConfig& config) { config.connections_max = 2; };
  start(5'000);
  for (int round = 0; round < 5; ++round) {
    SimClient* client = nullptr;
    const ConnectionId connection = connect(client);
    send(connection);
    engine->close(connection);
    ASSERT_TRUE(engine->run_until([&] { return client->peer_closed(); }, seconds(60)));
    EXPECT_EQ(text_of(client->received()), content);
    client->close(engine->now());
    ASSERT_TRUE(run_until_count(Event::Kind::closed, static_cast<std::size_t>(round) + 1));
    EXPECT_EQ(last(Event::Kind::closed)->result.error, 0);
  }
}

TEST_P(EngineOnSim, a_peer_that_resets_fails_its_splices_and_no_others) {
  start(2'000'000);
  SimClient* one = nullptr;
  SimClient* two = nullptr;
  const ConnectionId first = connect(one);
  const ConnectionId second = connect(two);
  send(first, {}, {}, 1);
  send(second, {}, {}, 2);
  ASSERT_TRUE(engine->run_until([&] { return one->received().size() > 100'000; }, seconds(60)));
  one->reset();
  ASSERT_TRUE(run_until_count(Event::Kind::released, 2));
  for (const Event& event : events) {
    if (event.kind == Event::Kind::released && event.user_data == 1) {
      EXPECT_EQ(event.result.error, ECONNRESET);
      EXPECT_LT(event.result.bytes_acked, content.size());
    } else if (event.kind == Event::Kind::released) {
      EXPECT_EQ(event.result.error, 0);
    }
  }
  EXPECT_EQ(text_of(two->received()), content);
  EXPECT_EQ(last(Event::Kind::closed)->result.error, ECONNRESET);
}

TEST_P(EngineOnSim, a_peer_that_vanishes_is_given_up_after_its_retransmissions) {
  start(500'000);
  SimClient* client = nullptr;
  send(connect(client));
  ASSERT_TRUE(engine->run_until([&] { return client->received().size() > 10'000; }, seconds(60)));
  client->vanish();
  ASSERT_TRUE(run_until_count(Event::Kind::closed, 1, seconds(3'600)));
  EXPECT_EQ(last(Event::Kind::released)->result.error, ETIMEDOUT);
  EXPECT_EQ(last(Event::Kind::closed)->result.error, ETIMEDOUT);
}

TEST_P(EngineOnSim, a_closed_window_holds_the_transfer_and_an_opened_one_goes_on) {
  start(300'000);
  SimClient* client = nullptr;
  SimClient::Options small;
  small.window_bytes = 10'000;
  small.window_scale = false;
  send(connect(client, small));
  ASSERT_TRUE(engine->run_until([&] { return client->received().size() > 50'000; }, seconds(60)));
  client->offer_window(0, engine->now());
  const Time closed_at = engine->now();
  EXPECT_FALSE(engine->run_until([&] { return count(Event::Kind::released) > 0; }, seconds(20)));
  EXPECT_GE(engine->now(), closed_at);
  client->offer_window(10'000, engine->now());
  ASSERT_TRUE(run_until_count(Event::Kind::released, 1));
  EXPECT_EQ(text_of(client->received()), content);
}

TEST_P(EngineOnSim, a_splice_cancelled_before_its_first_byte_leaves_no_trace_in_the_stream) {
  start(400'000);
  SimClient* client = nullptr;
  const ConnectionId connection = connect(client);
  send(connection, "first", {}, 1);
  const std::uint64_t second = send(connection, "second", {}, 2);
  send(connection, "third", {}, 3);
  engine->cancel(second);
  ASSERT_TRUE(run_until_count(Event::Kind::released, 3));
  EXPECT_EQ(text_of(client->received()), "first" + content + "third" + content);
  for (const Event& event : events) {
    if (event.kind != Event::Kind::released) continue;
    EXPECT_EQ(event.result.error, event.user_data == 2 ? ECANCELED : 0);
  }
}

TEST_P(EngineOnSim, a_splice_cancelled_halfway_resets_its_connection) {
  start(2'000'000);
  SimClient* client = nullptr;
  const std::uint64_t id = send(connect(client));
  ASSERT_TRUE(engine->run_until([&] { return client->received().size() > 10'000; }, seconds(60)));
  engine->cancel(id);
  ASSERT_TRUE(run_until_count(Event::Kind::closed, 1));
  EXPECT_EQ(last(Event::Kind::released)->result.error, ECANCELED);
  ASSERT_TRUE(engine->run_until([&] { return client->was_reset(); }, seconds(10)));
}

TEST_P(EngineOnSim, a_submit_after_close_is_released_with_an_error) {
  start(1'000);
  SimClient* client = nullptr;
  const ConnectionId connection = connect(client);
  engine->close(connection);
  ASSERT_TRUE(engine->run_until([&] { return client->peer_closed(); }, seconds(10)));
  send(connection);
  ASSERT_TRUE(run_until_count(Event::Kind::released, 1));
  EXPECT_EQ(last(Event::Kind::released)->result.error, EPIPE);
}

TEST_P(EngineOnSim, late_lost_and_unordered_completions_delay_the_release_only) {
  options.sim.dma.lateness_max = milliseconds(3);
  options.sim.dma.completion_lateness_max = milliseconds(20);
  options.sim.dma.completes_in_order = false;
  options.sim.dma.lost_completion_ppm = 20'000;
  start(200'000);
  SimClient* client = nullptr;
  send(connect(client));
  // The stream arrives whole; the splice is released when the device has stopped at the latest.
  ASSERT_TRUE(
      engine->run_until([&] { return client->received().size() == content.size(); }, seconds(600)));
  EXPECT_EQ(text_of(client->received()), content);
}

TEST_P(EngineOnSim, a_device_that_completes_nothing_is_stopped_and_its_sends_fail) {
  options.sim.dma.lost_completion_ppm = 1'000'000;
  options.edit = [](engine::LoopConfig& config) { config.device_timeout = milliseconds(200); };
  start(2'000'000);  // more than the ring holds
  SimClient* client = nullptr;
  send(connect(client));
  ASSERT_TRUE(run_until_count(Event::Kind::released, 1, seconds(60)));
  EXPECT_EQ(last(Event::Kind::released)->result.error, ENETDOWN);
  EXPECT_EQ(engine->loop().counters().device_faults.get(), 1U);
  ASSERT_TRUE(run_until_count(Event::Kind::device_lost, 1));
  EXPECT_EQ(last(Event::Kind::device_lost)->result.error, ETIMEDOUT);
}

TEST_P(FragmentsOnSim, a_device_that_a_writer_waits_for_is_stopped_even_while_the_link_is_down) {
  options.cache.cache_bytes = 512 * page_bytes;
  options.cache.spare_frames = 16;
  options.edit = [](engine::LoopConfig& config) { config.device_timeout = milliseconds(10); };
  // All file frames taken, and more of them under descriptors than there are spare ones.
  start(496 * page_bytes);
  SimClient* client = nullptr;
  send(connect(client));
  ASSERT_TRUE(engine->run_until([&] { return client->received().size() > 200'000; }, seconds(60)));
  engine->port().set_link_up(false);
  ASSERT_FALSE(engine->run_until([&] { return engine->loop().stopped(); }, seconds(1)))
      << "nobody waits for it";
  ASSERT_GT(engine->cache().stats().frames_pinned, options.cache.spare_frames);

  std::atomic<bool> written = false;
  std::thread writer([&] {
    rewrite_all();
    written = true;
  });
  // Virtual time goes on by itself; the guard and the writer live in real time.
  for (int i = 0; i < 10'000 && !written; ++i) {
    engine->run_for(milliseconds(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  writer.join();
  EXPECT_TRUE(written);
  EXPECT_TRUE(engine->loop().stopped());
  EXPECT_EQ(last(Event::Kind::released)->result.error, ENETDOWN);
}

TEST_P(EngineOnSim, a_device_that_is_pulled_out_while_it_has_nothing_to_do_is_missed_at_once) {
  start(100'000);
  SimClient* client = nullptr;
  const ConnectionId id = connect(client);
  engine->run_for(milliseconds(100));
  ASSERT_EQ(engine->loop().packets_outstanding(), 0U);
  engine->port().remove();
  send(id);
  ASSERT_TRUE(run_until_count(Event::Kind::released, 1, milliseconds(10)));
  EXPECT_EQ(last(Event::Kind::released)->result.error, ENETDOWN);
  EXPECT_TRUE(engine->loop().stopped());
  EXPECT_EQ(engine->loop().counters().device_faults.get(), 1U);
  ASSERT_TRUE(run_until_count(Event::Kind::device_lost, 1));
  EXPECT_EQ(last(Event::Kind::device_lost)->result.error, ENODEV);
}

TEST_P(EngineOnSim, a_stopped_device_that_still_holds_descriptors_keeps_their_frames) {
  options.sim.dma.lost_completion_ppm = 1'000'000;
  options.edit = [](engine::LoopConfig& config) { config.device_timeout = milliseconds(200); };
  const Time lets_go = options.sim.start_at + seconds(5);
  options.sim.dma.holds_until = lets_go;
  start(2'000'000);
  SimClient* client = nullptr;
  send(connect(client));
  ASSERT_TRUE(engine->run_until([&] { return engine->loop().stopped(); }, seconds(4)));
  rewrite_all();
  ASSERT_EQ(engine->port().stats().changed_under_descriptor, 0U);
  ASSERT_GT(engine->loop().packets_outstanding(), 0U);

  ASSERT_TRUE(run_until_count(Event::Kind::released, 1, seconds(60)));
  EXPECT_EQ(last(Event::Kind::released)->result.error, ENETDOWN);
  // Linear packets refer to copies, not to the splice's pages: it need not wait.
  EXPECT_EQ(engine->now() >= lets_go, !GetParam());
  ASSERT_TRUE(
      engine->run_until([&] { return engine->loop().packets_outstanding() == 0; }, seconds(60)));
  EXPECT_GE(engine->now(), lets_go);
}

TEST_P(EngineOnSim, frames_of_a_device_that_never_lets_go_are_quarantined) {
  options.sim.dma.lost_completion_ppm = 1'000'000;
  options.sim.dma.holds_until = Time::never();
  start(2'000'000);
  SimClient* client = nullptr;
  send(connect(client));
  ASSERT_TRUE(engine->run_until([&] { return client->received().size() > 10'000; }, seconds(60)));

  engine->stop_and_settle();
  EXPECT_EQ(count(Event::Kind::released), GetParam() ? 1U : 0U);
  EXPECT_GT(engine->loop().quarantine(), 0U);
  engine->poll_events();
  ASSERT_EQ(count(Event::Kind::released), 1U);
  EXPECT_EQ(last(Event::Kind::released)->result.error, ECONNABORTED);

  // The snapshot is gone, its frames are not: a linear packet's payload stands in its own buffer.
  rewrite_all();
  EXPECT_EQ(engine->port().stats().changed_under_descriptor, 0U);
  if (!GetParam()) {
    EXPECT_GT(engine->cache().stats().frames_pinned, 0U);
  }
  engine->on_event = nullptr;
  file.reset();
  engine.reset();  // nothing is asserted that cannot be had
}

TEST_P(EngineOnSim, idle_connections_are_reset_after_their_time) {
  options.edit = [](engine::LoopConfig& config) { config.tcp.idle_timeout = seconds(5); };
  start(1'000);
  SimClient* client = nullptr;
  connect(client);
  ASSERT_TRUE(run_until_count(Event::Kind::closed, 1, seconds(60)));
  EXPECT_EQ(last(Event::Kind::closed)->result.error, ETIMEDOUT);
}

TEST_P(EngineOnSim, more_connections_than_slots_are_refused_and_the_others_served) {
  options.edit = [](engine::LoopConfig& config) { config.connections_max = 2; };
  start(20'000);
  SimClient* one = nullptr;
  SimClient* two = nullptr;
  const ConnectionId first = connect(one);
  const ConnectionId second = connect(two);
  SimClient::Options late;
  late.port = 50000;
  SimClient& refused = engine->connect(late);
  send(first);
  send(second);
  ASSERT_TRUE(run_until_count(Event::Kind::released, 2));
  EXPECT_FALSE(refused.established());
  EXPECT_GT(engine->loop().counters().connections_refused.get(), 0U);
  refused.vanish();
}

TEST_P(EngineOnSim, rfc4987_3_6_under_a_flood_of_syns_others_get_in_by_cookies) {
  options.edit = [](engine::LoopConfig& config) { config.connections_max = 8; };
  start(200'000);
  for (std::uint16_t port = 50'000; port < 50'004; ++port) {
    SimClient::Options spoofed;
    spoofed.port = port;
    engine->connect(spoofed).vanish();
  }
  // Half of the slots wait for handshakes that never end.
  std::vector<SimClient*> clients;
  for (std::uint16_t port = 60'000; port < 60'003; ++port) {
    SimClient::Options late;
    late.port = port;
    late.timestamps = port != 60'001;
    clients.push_back(&engine->connect(late));
  }
  ASSERT_TRUE(engine->run_until([&] { return accepted.size() == clients.size(); }, seconds(1)));
  EXPECT_GE(engine->loop().counters().syn_cookies_sent.get(), 3U);
  EXPECT_EQ(engine->loop().counters().syn_cookies_accepted.get(), 3U);
  for (const ConnectionId id : accepted)
    send(id);
  ASSERT_TRUE(run_until_count(Event::Kind::released, 3));
  for (SimClient* client : clients) {
    EXPECT_TRUE(client->established());
    EXPECT_GE(client->received().size(), 200'000U);
  }
}

TEST_P(EngineOnSim, rfc4987_3_6_without_a_flood_no_acknowledgement_is_taken_for_a_cookie) {
  start(1'000);
  SimClient* client = nullptr;
  connect(client);
  EXPECT_EQ(engine->loop().counters().syn_cookies_sent.get(), 0U);
  EXPECT_EQ(engine->loop().counters().syn_cookies_accepted.get(), 0U);
}

TEST_P(EngineOnSim, a_segment_of_no_connection_is_answered_with_a_reset) {
  start(1'000);
  SimClient::Options stranger;
  stranger.port = 1234;
  SimClient& client = engine->connect(stranger);
  ASSERT_TRUE(engine->run_until([&] { return !accepted.empty(); }, seconds(10)));
  engine->abort(accepted.at(0));
  ASSERT_TRUE(engine->run_until([&] { return client.was_reset(); }, seconds(10)));
}

}  // namespace
}  // namespace strictsend::testing
