// SPDX-License-Identifier: Apache-2.0
// A herd of peers that hold on to what they are sent, each in its own way, while a writer goes on
// and others want to be served. Memory stays what it was, and in the end the herd is gone.
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sim/one_file_engine.hpp"
#include "tests/support/sanitized.hpp"

namespace strictsend::testing {
namespace {

constexpr std::uint16_t herd_size = sanitized ? 300 : 2000;
constexpr std::uint16_t honest_size = 8;
constexpr std::uint16_t first_herd_port = 10'000;
constexpr std::uint16_t first_honest_port = 50'000;
constexpr std::size_t file_bytes = 256 << 10;
constexpr std::size_t versions = 20;

/// What a peer of the herd does, by its number.
enum class Manner : std::uint8_t { takes_a_byte_a_probe, vanishes, vanishes_midway, stops_reading };
constexpr std::uint16_t manners = 4;

class Herd : public OneFileEngine {
 protected:
  void SetUp() override {
    options.splices_max = 4096;
    options.cache.snapshots_max = 4096;
    options.edit = [](engine::LoopConfig& config) {
      config.connections_max = 4096;
      config.tcp.idle_timeout = seconds(20);
    };
    start_engine(file_bytes);
    if (HasFatalFailure()) return;
    engine->on_event = [this](const Event& event) { take(event); };
    engine->between = [this] { misbehave(); };
  }

  static bool is_honest(std::uint16_t port) { return port >= first_honest_port; }
  static Manner manner_of(std::uint16_t port) {
    return static_cast<Manner>((port - first_herd_port) % manners);
  }

  void take(const Event& event) {
    if (event.kind == Event::Kind::accepted) {
      auto snapshot = engine->cache().freeze(file, 0, file_bytes);
      ASSERT_TRUE(snapshot) << snapshot.error().message();
      if (is_honest(event.peer_port)) expected_[event.peer_port] = content;
      engine->submit(event.connection, *snapshot, {}, {}, event.peer_port);
    } else if (event.kind == Event::Kind::released) {
      if (is_honest(static_cast<std::uint16_t>(event.user_data)))
        ++served_;
      else
        ++herd_released_[event.result.error];
    } else if (event.kind == Event::Kind::closed) {
      ++closed_;
    }
  }

  void open_herd() {
    for (std::uint16_t i = 0; i < herd_size; ++i) {
      SimClient::Options peer;
      peer.port = static_cast<std::uint16_t>(first_herd_port + i);
      if (manner_of(peer.port) == Manner::takes_a_byte_a_probe) peer.window_bytes = 0;
      herd_.push_back(&engine->connect(peer));
      well_behaved_.push_back(herd_.back());
      engine->run_for(microseconds(100));
      if (i % (herd_size / versions) == 0) write_everything();
    }
  }
  void misbehave() {
    std::erase_if(well_behaved_, [this](SimClient* peer) {
      const Manner manner = manner_of(peer->port());
      const bool now =
          manner == Manner::takes_a_byte_a_probe ||
          (manner == Manner::vanishes ? peer->established() : !peer->received().empty());
      if (!now) return false;
      if (manner == Manner::vanishes || manner == Manner::vanishes_midway) peer->vanish();
      if (manner == Manner::stops_reading) peer->offer_window(0, engine->now());
      return true;
    });
  }
  void write_everything() {
    std::fill(content.begin(), content.end(), static_cast<char>('a' + writes_++ % 26));
    const auto written = pagecache::file_write(*file, std::as_bytes(std::span(content)), 0);
    ASSERT_TRUE(written);
    ASSERT_EQ(*written, file_bytes);
  }

  std::vector<SimClient*> herd_;
  std::vector<SimClient*> well_behaved_;  ///< of the herd, so far
  std::map<std::uint16_t, std::string> expected_;
  std::map<int, std::size_t> herd_released_;  ///< by error
  std::size_t served_ = 0;
  std::size_t closed_ = 0;
  std::size_t writes_ = 0;
};

TEST_F(Herd, of_thousands_takes_no_more_memory_keeps_nobody_waiting_and_is_gone_in_the_end) {
  const std::uint64_t memory_bytes = engine->loop().memory_bytes();
  open_herd();
  std::vector<SimClient*> honest;
  for (std::uint16_t i = 0; i < honest_size; ++i) {
    SimClient::Options peer;
    peer.port = static_cast<std::uint16_t>(first_honest_port + i);
    honest.push_back(&engine->connect(peer));
  }
  ASSERT_TRUE(engine->run_until([&] { return served_ == honest_size; }, seconds(5)));
  for (SimClient* peer : honest) {
    const std::vector<std::byte>& got = peer->received();
    EXPECT_TRUE(std::ranges::equal(got, std::as_bytes(std::span(expected_[peer->port()]))));
    peer->close(engine->now());
  }
  EXPECT_EQ(engine->loop().memory_bytes(), memory_bytes);
  // A page is kept once for all that want the same version of it.
  const pagecache::CacheStats stats = engine->cache().stats();
  EXPECT_LE(stats.pages_preserved, versions * (file_bytes / page_bytes));
  EXPECT_EQ(stats.sends_failed_for_writers, 0U);

  // Nobody is there for longer than twice the idle time-out, whatever it does.
  engine->run_for(seconds(45));
  EXPECT_EQ(engine->loop().counters().connections_open.get(), 0U);
  EXPECT_EQ(closed_, std::size_t{herd_size} + honest_size);
  EXPECT_EQ(herd_released_[ETIMEDOUT] + herd_released_[0], herd_size);
  EXPECT_GE(herd_released_[ETIMEDOUT], herd_size * 3U / 4U);
  const std::uint64_t accepted = engine->loop().counters().connections_accepted.get();
  EXPECT_EQ(accepted, std::uint64_t{herd_size} + honest_size);
  for (const SimClient* peer : herd_)
    if (manner_of(peer->port()) == Manner::takes_a_byte_a_probe) {
      EXPECT_GT(peer->received().size(), 0U) << "or it was no such peer";
      EXPECT_LT(peer->received().size(), 100U);
    }
}

}  // namespace
}  // namespace strictsend::testing
