// SPDX-License-Identifier: Apache-2.0
// An engine on several NIC queues, as an application sees it.
#include <array>
#include <atomic>
#include <chrono>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/netns.hpp"
#include "tests/support/temp_dir.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::test {
namespace {

constexpr std::uint16_t port = 7000;

EngineConfig on_discard(std::uint32_t queues) {
  EngineConfig config;
  config.nic = "discard:";
  config.queues = queues;
  config.cache_bytes = 16 << 20;
  config.max_connections = 64;
  return config;
}

TEST(EngineQueues, take_memory_each_and_share_the_connections) {
  std::array<std::uint64_t, 2> memory_bytes{};
  for (const std::uint32_t queues : {1U, 5U}) {
    auto engine = Engine::open(on_discard(queues));
    ASSERT_TRUE(engine) << engine.error().message();
    EXPECT_EQ((*engine)->queue_count(), queues);
    EXPECT_EQ((*engine)->queue_stats(queues - 1).segments_sent, 0U);
    memory_bytes[queues == 1 ? 0 : 1] = (*engine)->memory_bytes();
    const EngineStats closing = (*engine)->stop(0);
    EXPECT_EQ(closing.frames_port, std::uint64_t{queues} * 3072);
  }
  // The connections are as many as before; the buffers and rings are five times as many.
  EXPECT_GE(memory_bytes[1] - memory_bytes[0], std::uint64_t{4} * (12 << 20));
  EXPECT_LT(memory_bytes[1] - memory_bytes[0], std::uint64_t{4} * (16 << 20));
}

TEST(EngineQueues, are_among_the_facts_of_its_port) {
  EngineConfig config = on_discard(3);
  config.tx_form = TxForm::linear;
  for (const bool offload : {true, false}) {
    config.checksum_offload = offload;
    auto engine = Engine::open(config);
    ASSERT_TRUE(engine) << engine.error().message();
    const PortFacts facts = (*engine)->port();
    EXPECT_EQ(facts.spec, "discard:");
    EXPECT_EQ(facts.driver, "discard");
    EXPECT_EQ(facts.queues, 3U);
    EXPECT_EQ(facts.mtu_bytes, 1500U);
    EXPECT_EQ(facts.form, TxForm::linear);
    EXPECT_TRUE(facts.fragments_possible);
    EXPECT_GT(facts.max_fragments, 1U);
    EXPECT_EQ(facts.checksum_offload, offload);
    EXPECT_EQ(facts.segmented_bytes_max, 0U);
    EXPECT_FALSE(facts.copies_payload);
    EXPECT_FALSE(facts.owns_interface);
  }
}

TEST(EngineQueues, numbers_that_cannot_be_are_explained) {
  const auto refusal = [](const EngineConfig& config) {
    auto engine = Engine::open(config);
    return engine ? "opened" : engine.error().message();
  };
  EXPECT_NE(refusal(on_discard(257)).find("queues must be 1 to 256"), std::string::npos);
  EngineConfig few = on_discard(8);
  few.max_connections = 7;
  EXPECT_NE(refusal(few).find("at least 1 for each of the 8 queues"), std::string::npos)
      << refusal(few);
}

TEST(EngineQueues, count_each_on_its_own_and_together_what_the_engine_counts) {
  if (const auto why = NetNamespacePair::unavailable()) GTEST_SKIP() << *why;
  auto network = NetNamespacePair::create({.queues = 2});
  ASSERT_TRUE(network) << network.error().message();
  const TempDir root;
  put_file(root.path("file"), random_bytes(300'000, 1));
  EngineConfig config;
  config.nic = "af_xdp:" + network->near().interface_name;
  config.cache_bytes = 16 << 20;
  auto engine = Engine::open(config);
  ASSERT_TRUE(engine) << engine.error().message();
  ASSERT_EQ((*engine)->queue_count(), 2U);
  EXPECT_NE((*engine)->description().find("2 queues, 2 engine threads"), std::string::npos);
  ASSERT_TRUE((*engine)->listen(port));
  auto file = (*engine)->open_file(root.path("file"), O_RDONLY);
  ASSERT_TRUE(file) << file.error().message();

  // Somebody looks at the counters all the time, while the engine threads count.
  std::jthread monitor([&](const std::stop_token& stop) {
    std::uint64_t looked = 0;
    while (!stop.stop_requested()) {
      for (std::uint32_t queue = 0; queue < 2; ++queue)
        looked += (*engine)->queue_stats(queue).nic_packets_sent > 0 ? 1U : 0U;
    }
    EXPECT_GT(looked, 0U);
  });
  constexpr int clients = 24;
  auto peers =
      network->spawn_in_namespace({"bash", "-c",
                                   "for i in $(seq " + std::to_string(clients) +
                                       "); do (exec 3<>/dev/tcp/" + network->near().address +
                                       "/7000; [ $(cat <&3 | wc -c) = 300000 ] && echo whole) & "
                                       "done; wait"});
  ASSERT_TRUE(peers) << peers.error().message();
  int closed = 0;
  for (int i = 0; i < 60'000 && closed < clients; ++i) {
    std::array<Event, 16> events;
    while (const std::size_t count = (*engine)->poll(events)) {
      for (const Event& event : std::span(events).first(count)) {
        if (event.kind == Event::Kind::closed) ++closed;
        if (event.kind != Event::Kind::accepted) continue;
        auto snapshot = (*engine)->freeze(*file, 0, file->size_bytes());
        ASSERT_TRUE(snapshot) << snapshot.error().message();
        Splice splice;
        splice.connection = event.connection;
        splice.snapshot = std::move(*snapshot);
        ASSERT_TRUE((*engine)->submit(std::move(splice)));
        ASSERT_TRUE((*engine)->close(event.connection));
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(closed, clients);
  const auto result = peers->wait(seconds(60));
  ASSERT_TRUE(result);
  std::size_t whole = 0;
  for (std::size_t at = 0; (at = result->output.find("whole", at)) != std::string::npos; ++at)
    ++whole;
  EXPECT_EQ(whole, std::size_t{clients}) << result->output;
  monitor.request_stop();
  monitor.join();
  file = File{};

  const EngineStats all = (*engine)->stop(0);
  QueueStats sum;
  for (std::uint32_t queue = 0; queue < 2; ++queue) {
    const QueueStats stats = (*engine)->queue_stats(queue);
    EXPECT_GT(stats.connections_accepted, 0U) << "by chance: one in 2^23";
    EXPECT_EQ(stats.nic_completions, stats.nic_packets_sent);
    EXPECT_EQ(stats.nic_packets_sent, stats.segments_sent);
    EXPECT_EQ(stats.nic_packets_received, stats.segments_received);
    EXPECT_GT(stats.nic_bytes_sent, stats.payload_bytes_sent);
    EXPECT_GT(stats.nic_kicks, 0U);
    EXPECT_EQ(stats.nic_faults + stats.device_faults, 0U);
    sum.connections_accepted += stats.connections_accepted;
    sum.connections_open += stats.connections_open;
    sum.segments_sent += stats.segments_sent;
    sum.segments_received += stats.segments_received;
    sum.payload_bytes_sent += stats.payload_bytes_sent;
    sum.segments_handed_over += stats.segments_handed_over;
  }
  EXPECT_EQ(sum.connections_accepted, std::uint64_t{clients});
  EXPECT_EQ(sum.connections_open, 0U);
  EXPECT_EQ(sum.connections_accepted, all.connections_accepted);
  EXPECT_EQ(sum.segments_sent, all.segments_sent);
  EXPECT_EQ(sum.segments_received, all.segments_received);
  EXPECT_EQ(sum.payload_bytes_sent, all.payload_bytes_sent);
  EXPECT_EQ(sum.segments_handed_over, all.segments_handed_over);
}

}  // namespace
}  // namespace strictsend::test
