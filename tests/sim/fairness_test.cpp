// SPDX-License-Identifier: Apache-2.0
// Connections that all have more to send than the port takes: each gets the same share of its
// bytes, whatever its segments are.
#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sim/one_file_engine.hpp"

namespace strictsend::testing {
namespace {

constexpr std::size_t file_bytes = 8 << 20;

struct Shares {
  const char* name;
  bool linear;
  bool segmentation;
  std::vector<std::uint16_t> mss;  ///< of each connection
};
void PrintTo(const Shares& shares, std::ostream* out) {
  *out << shares.name;
}

class Fairness : public OneFileEngine, public ::testing::WithParamInterface<Shares> {
 protected:
  void SetUp() override {
    options.linear = GetParam().linear;
    options.sim.checksum_offload = GetParam().segmentation;
    options.sim.segmented_bytes_max = GetParam().segmentation ? 65535 : 0;
    options.sim.link_bits_per_second = 1'000'000'000;
    options.sim.tx_ring_packets = 8;
    options.cache.cache_bytes = std::uint64_t{64} << 20;
    options.edit = [](engine::LoopConfig& config) {
      config.tx_slots = 16;  // so that turns are cut off in their middle too
      config.tcp.pacing = false;
    };
    options.sim.tap = [this](Time, std::span<const std::byte> frame) {
      const auto packet = wire::parse_tcp_packet(frame, nic::RxChecksum::unknown);
      if (packet) left_bytes_[packet->destination_port] += frame.size();
    };
  }

  std::map<std::uint16_t, std::uint64_t> left_bytes_;  ///< on the wire, by the client's port
};

INSTANTIATE_TEST_SUITE_P(
    Each, Fairness,
    ::testing::Values(Shares{"small_and_large_packets", false, false, {1460, 300, 1460, 300}},
                      Shares{"linear", true, false, {1460, 300, 1460, 300}},
                      Shares{"chains_that_are_cut", false, true, {1460, 1460, 536, 536}},
                      // No port is asked to cut such small packets.
                      Shares{"chains_and_packets", false, true, {1460, 300, 1460, 300}}),
    [](const auto& shares) { return std::string(shares.param.name); });

TEST_P(Fairness, busy_connections_get_the_same_bytes) {
  start_engine(file_bytes);
  ASSERT_FALSE(HasFatalFailure());
  engine->on_event = [this](const Event& event) {
    if (event.kind != Event::Kind::accepted) return;
    auto snapshot = engine->cache().freeze(file, 0, file_bytes);
    ASSERT_TRUE(snapshot);
    engine->submit(event.connection, *snapshot, {}, {}, 0);
  };
  std::uint16_t port = 40000;
  for (const std::uint16_t mss : GetParam().mss) {
    SimClient::Options client;
    client.port = port++;
    client.mss = mss;
    client.window_bytes = 4 << 20;
    engine->connect(client);
  }
  // From when they are past slow start until the first one has nearly all.
  const auto one_has = [this](std::uint64_t bytes) {
    return std::ranges::any_of(left_bytes_, [=](const auto& one) { return one.second >= bytes; });
  };
  ASSERT_TRUE(engine->run_until([&] { return one_has(file_bytes / 4); }, seconds(60)));
  auto before = left_bytes_;
  ASSERT_TRUE(engine->run_until([&] { return one_has(file_bytes / 4 * 3); }, seconds(60)));
  std::vector<std::uint64_t> shares;
  for (const auto& [to, bytes] : left_bytes_)
    shares.push_back(bytes - before[to]);
  const auto [least, most] = std::ranges::minmax(shares);
  EXPECT_LE(most, least + least / 8) << "of equal shares";
}

}  // namespace
}  // namespace strictsend::testing
