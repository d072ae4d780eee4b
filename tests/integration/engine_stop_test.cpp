// SPDX-License-Identifier: Apache-2.0
// The end of an engine on a real interface when the kernel does not let go of it.
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/netns.hpp"
#include "tests/support/temp_dir.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::test {
namespace {

constexpr std::uint16_t port = 7000;

/// Second descriptors of this process's AF_XDP sockets: while one is open, the kernel keeps the
/// socket, and with it the queue and all that is in flight.
std::vector<UniqueFd> hold_af_xdp_sockets() {
  std::vector<UniqueFd> held;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int fd = std::stoi(entry.path().filename());
    int domain = 0;
    socklen_t bytes = sizeof domain;
    if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) == 0 && domain == AF_XDP)
      held.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  }
  return held;
}

std::size_t threads_named(const std::string& name) {
  std::size_t count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string found;
    std::ifstream(task.path() / "comm") >> found;
    count += found == name ? 1U : 0U;
  }
  return count;
}

class EngineStop : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = NetNamespacePair::unavailable()) GTEST_SKIP() << *why;
    auto made = NetNamespacePair::create();
    ASSERT_TRUE(made) << made.error().message();
    network.emplace(std::move(*made));
    put_file(root.path("file"), random_bytes(1'000'000, 1));
    EngineConfig config;
    config.nic = "af_xdp:" + network->near().interface_name;
    config.tx_form = TxForm::fragments;
    config.cache_bytes = 32 << 20;
    auto opened = Engine::open(config);
    ASSERT_TRUE(opened) << opened.error().message();
    engine = std::move(*opened);
    ASSERT_TRUE(engine->listen(port));
    auto loaded = engine->open_file(root.path("file"), O_RDWR);
    ASSERT_TRUE(loaded) << loaded.error().message();
    file = std::move(*loaded);
    guards = threads_named("strictsend-grd");
  }

  /// Polls until `done`, or for a minute.
  bool wait_until(const std::function<bool()>& done) {
    for (int i = 0; i < 60'000 && !done(); ++i) {
      poll();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return done();
  }
  void poll() {
    std::array<Event, 16> batch;
    while (const std::size_t count = engine->poll(batch))
      events.insert(events.end(), batch.begin(), batch.begin() + std::ptrdiff_t(count));
  }
  std::size_t count(Event::Kind kind) const {
    std::size_t found = 0;
    for (const Event& event : events)
      found += event.kind == kind ? 1U : 0U;
    return found;
  }
  CommandResult set_link(const char* state) const {
    return run_command({"ip", "link", "set", network->near().interface_name, state});
  }

  TempDir root;
  std::optional<NetNamespacePair> network;
  std::unique_ptr<Engine> engine;
  File file;
  std::vector<Event> events;
  std::size_t guards = 0;  ///< this engine's, and those kept by earlier ones
};

TEST_F(EngineStop, frames_that_the_kernel_does_not_let_go_of_are_quarantined) {
  auto client = network->spawn_in_namespace(
      {"bash", "-c", "exec 3<>/dev/tcp/" + network->near().address + "/7000 && cat <&3 | wc -c"});
  ASSERT_TRUE(client) << client.error().message();
  ASSERT_TRUE(wait_until([&] { return count(Event::Kind::accepted) == 1; }));
  auto mapping = file.map();
  ASSERT_TRUE(mapping) << mapping.error().message();

  // With the link down nothing leaves the transmit ring, so its descriptors stay outstanding.
  ASSERT_EQ(set_link("down").exit_code, 0);
  const std::uint64_t sent = engine->stats().segments_sent;
  auto snapshot = engine->freeze(file, 0, file.size_bytes());
  ASSERT_TRUE(snapshot) << snapshot.error().message();
  Splice splice;
  splice.connection = events.front().connection;
  splice.snapshot = std::move(*snapshot);
  ASSERT_TRUE(engine->submit(std::move(splice)));
  ASSERT_TRUE(wait_until([&] { return engine->stats().segments_sent > sent; }));
  ASSERT_TRUE(wait_until([&] { return engine->stats().frames_pinned > 0; }));
  std::vector<UniqueFd> held = hold_af_xdp_sockets();
  ASSERT_FALSE(held.empty());

  const EngineStats closing = engine->stop(0);
  EXPECT_GT(closing.frames_pinned, 0U);
  EXPECT_EQ(closing.snapshots_live, 0U);
  poll();
  ASSERT_EQ(count(Event::Kind::released), 1U);
  for (const Event& event : events) {
    if (event.kind == Event::Kind::released) {
      EXPECT_EQ(event.result.error, ECONNABORTED);
    }
  }

  // Changes are written back at the end as always.
  const std::byte changed{'Z'};
  ASSERT_TRUE(file.write(std::span(&changed, 1), 100));
  engine.reset();
  EXPECT_EQ(get_file(root.path("file"))[100], changed);

  // The mapping outlives the engine, so its writers are still kept off those frames.
  EXPECT_EQ(threads_named("strictsend-grd"), guards);
  for (std::size_t at = 0; at < mapping->size(); at += 4096)
    (*mapping)[at] = std::byte{1};
  std::array<std::byte, 1> first{};
  ASSERT_TRUE(file.read(first, 0));
  EXPECT_EQ(first[0], std::byte{1});
  ASSERT_TRUE(file.sync());
  EXPECT_EQ(get_file(root.path("file"))[0], std::byte{1});
}

TEST_F(EngineStop, a_device_that_is_removed_is_told_once) {
  EXPECT_FALSE(engine->device_failure());
  ASSERT_EQ(run_command({"ip", "link", "delete", network->near().interface_name}).exit_code, 0);
  ASSERT_TRUE(wait_until([&] { return count(Event::Kind::device_lost) == 1; }));
  EXPECT_EQ(events.back().result.error, ENODEV);
  ASSERT_TRUE(engine->device_failure());
  EXPECT_NE(engine->device_failure()->message().find(network->near().interface_name),
            std::string::npos);
  file = {};
  const EngineStats closing = engine->stop(0);
  EXPECT_EQ(closing.frames_pinned, 0U);
  EXPECT_EQ(closing.snapshots_live, 0U);
  poll();
  EXPECT_EQ(count(Event::Kind::device_lost), 1U);
  EXPECT_TRUE(engine->device_failure());
}

TEST_F(EngineStop, a_file_may_be_written_and_synced_meanwhile) {
  std::atomic<bool> stopped = false;
  std::thread writer([&] {
    for (std::byte fill{1}; !stopped; fill = std::byte(std::to_integer<int>(fill) + 1)) {
      const std::vector<std::byte> bytes(500'000, fill);
      EXPECT_TRUE(file.write(bytes, 0));
      EXPECT_TRUE(file.sync());
    }
  });
  wait_until([&] { return get_file(root.path("file"))[0] == std::byte{3}; });
  const EngineStats closing = engine->stop(0);
  stopped = true;
  writer.join();
  EXPECT_FALSE(engine->freeze(file, 0, 1)) << "a stopped engine sends nothing any more";
  EXPECT_LE(closing.snapshots_live, 1U);
}

TEST_F(EngineStop, everything_comes_back_where_the_kernel_lets_go) {
  ASSERT_EQ(set_link("down").exit_code, 0);
  file = {};
  const EngineStats closing = engine->stop(0);
  EXPECT_EQ(closing.frames_pinned, 0U);
  EXPECT_EQ(closing.snapshots_live, 0U);
  engine.reset();
  EXPECT_EQ(threads_named("strictsend-grd"), guards - 1);
}

}  // namespace
}  // namespace strictsend::test
