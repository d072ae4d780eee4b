// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cerrno>
#include <cstring>

#include <gtest/gtest.h>

#include "nic/wire/udp_packet.hpp"
#include "tests/support/af_xdp_rig.hpp"

namespace strictsend::test {
namespace {

using Checksum = AfXdpRig::Checksum;

class AfXdpTransmit : public testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = NetNamespacePair::unavailable()) GTEST_SKIP() << *reason;
  }

  void open(AfXdpRig::Options options = {}) {
    auto made = AfXdpRig::make(std::move(options));
    ASSERT_TRUE(made) << made.error().message();
    rig = std::move(*made);
  }
  [[nodiscard]] bool has_fragments() const { return rig->port->capabilities().max_fragments > 1; }

  /// Sends the fragments as one datagram, and expects them at the far end's kernel socket, which
  /// drops what has a wrong checksum.
  void expect_arrival(std::span<const nic::Fragment> fragments, Checksum checksum, bool linear) {
    ASSERT_TRUE(rig->send(fragments, ++cookie, checksum, linear));
    rig->complete_all();
    EXPECT_EQ(rig->completed[cookie], std::vector{nic::TxStatus::sent});
    EXPECT_EQ(rig->next_datagram(), rig->bytes_of(fragments));
    EXPECT_EQ(rig->queue().counters().unexpected_completions, 0U);
  }

  std::unique_ptr<AfXdpRig> rig;
  std::uint32_t cookie = 0;
};

TEST_F(AfXdpTransmit, the_capabilities_say_what_the_port_is) {
  open();
  const nic::PortCapabilities& can = rig->port->capabilities();
  EXPECT_NE(can.description.find("(veth, native XDP"), std::string::npos) << can.description;
  EXPECT_NE(can.description.find(", copy mode, "), std::string::npos) << can.description;
  EXPECT_EQ(can.mac, rig->net.near().mac);
  EXPECT_EQ(can.mtu_bytes, 1500U);
  EXPECT_TRUE(can.copies_payload);
  EXPECT_TRUE(rig->port->link_up());
  EXPECT_EQ(can.max_fragment_bytes + can.header_headroom_bytes, page_bytes);
}

TEST_F(AfXdpTransmit, linear_packets_arrive) {
  open();
  expect_arrival(std::array{rig->payload(0, 0, 1448)}, Checksum::software, true);
  expect_arrival(std::array{rig->payload(0, 17, 1)}, Checksum::software, true);
}

TEST_F(AfXdpTransmit, a_port_without_wishes_is_linear) {
  AfXdpRig::Options options;
  options.port.want_fragments = false;
  options.port.want_checksum_offload = false;
  open(options);
  EXPECT_EQ(rig->port->capabilities().max_fragments, 1U);
  EXPECT_FALSE(rig->port->capabilities().checksum_offload);
  EXPECT_EQ(rig->port->capabilities().header_headroom_bytes, 0U);
  expect_arrival(std::array{rig->payload(0, 0, 1448)}, Checksum::software, true);
}

TEST_F(AfXdpTransmit, page_fragments_arrive) {
  open();
  if (!has_fragments()) GTEST_SKIP() << rig->port->capabilities().description;
  expect_arrival(std::array{rig->payload(0, 0, 1448)}, Checksum::software, false);
  expect_arrival(std::array{rig->payload(0, 3396, 700), rig->payload(9, 0, 748)},
                 Checksum::software, false);
  expect_arrival(std::array{rig->payload(3, 1, 1), rig->payload(2, 2, 3), rig->payload(1, 4095, 1)},
                 Checksum::software, false);
}

TEST_F(AfXdpTransmit, a_fragment_may_cross_pages) {
  open();
  if (!has_fragments()) GTEST_SKIP() << rig->port->capabilities().description;
  ASSERT_TRUE(rig->port->capabilities().fragment_crosses_page);
  expect_arrival(std::array{rig->payload(4, 3000, 1448)}, Checksum::software, false);
}

TEST_F(AfXdpTransmit, as_many_fragments_as_announced_pass) {
  open();
  if (!has_fragments()) GTEST_SKIP() << rig->port->capabilities().description;
  EXPECT_EQ(rig->port->capabilities().max_fragments, 18U);
  std::vector<nic::Fragment> fragments;
  for (std::uint32_t i = 0; i + 1 < rig->port->capabilities().max_fragments; ++i)
    fragments.push_back(rig->payload(i, 4 * i, 70 + i));
  expect_arrival(fragments, Checksum::software, false);
}

// With checksum offload the far end of a veth pair would take an unfinished checksum on trust. So
// the near end's offload is switched off, which makes the kernel finish it as it would for a device
// without that ability, and the frame is looked at.
TEST_F(AfXdpTransmit, requested_checksums_are_filled_in) {
  AfXdpRig::Options options;
  options.net.near_tx_offload = false;
  open(options);
  if (!rig->port->capabilities().checksum_offload)
    GTEST_SKIP() << rig->port->capabilities().description;
  const auto is_ours = [](std::span<const std::byte> frame) {
    const auto parsed = wire::parse_udp_packet(frame, nic::RxChecksum::unknown);
    return parsed && parsed->source_port == AfXdpRig::near_port;
  };
  for (const bool linear : {true, false}) {
    if (!linear && !has_fragments()) continue;
    const std::array fragments = {rig->payload(5, 0, 701), rig->payload(6, 11, 700)};
    expect_arrival(fragments, Checksum::offload, linear);
    const std::vector<std::byte> frame = rig->next_frame(is_ours);
    const auto parsed = wire::parse_udp_packet(frame, nic::RxChecksum::unknown);
    ASSERT_TRUE(parsed) << wire::to_string(parsed.error());
    const std::vector<std::byte> sent = rig->bytes_of(fragments);
    EXPECT_TRUE(std::ranges::equal(parsed->payload, sent));
  }
}

TEST_F(AfXdpTransmit, requested_checksums_pass_between_veth_ends_unfinished) {
  open();
  if (!rig->port->capabilities().checksum_offload)
    GTEST_SKIP() << rig->port->capabilities().description;
  expect_arrival(std::array{rig->payload(5, 0, 1448)}, Checksum::offload, true);
  if (has_fragments())
    expect_arrival(std::array{rig->payload(5, 0, 1448)}, Checksum::offload, false);
}

TEST_F(AfXdpTransmit, a_software_checksum_is_right_on_the_wire) {
  open();
  const std::array fragments = {rig->payload(5, 0, 1447)};
  expect_arrival(fragments, Checksum::software, true);
  const std::vector<std::byte> frame = rig->next_frame([](std::span<const std::byte> bytes) {
    return wire::parse_udp_packet(bytes, nic::RxChecksum::unknown).has_value();
  });
  EXPECT_FALSE(frame.empty());
}

TEST_F(AfXdpTransmit, jumbo_frames_are_sent_through_the_generic_program) {
  AfXdpRig::Options options;
  options.net.mtu_bytes = 9000;
  open(options);
  EXPECT_EQ(rig->port->capabilities().mtu_bytes, 9000U);
  EXPECT_NE(rig->port->capabilities().description.find("generic XDP"), std::string::npos)
      << rig->port->capabilities().description;
  if (!has_fragments()) GTEST_SKIP() << rig->port->capabilities().description;
  expect_arrival(
      std::array{rig->payload(1, 0, 4080), rig->payload(7, 16, 4080), rig->payload(9, 0, 500)},
      Checksum::software, false);
}

TEST_F(AfXdpTransmit, a_packet_outside_the_memory_is_refused) {
  open();
  GTEST_FLAG_SET(death_test_style, "fast");
  const std::array outside = {nic::Fragment{ArenaOffset{rig->dma.memory().size_bytes - 100}, 101}};
  const nic::TxPacket packet{outside, std::nullopt, 1};
  EXPECT_DEATH(rig->queue().transmit({&packet, 1}),
               "fragment outside the DMA memory .fragment 1 of 1: 101 bytes at 0x");
}

TEST_F(AfXdpTransmit, each_packet_completes_exactly_once) {
  open();
  constexpr std::uint32_t packets = 20'000;
  std::uint32_t next = 0;
  bool was_full = false;
  while (next < packets) {
    // Fills the ring before each kick. Header slots turn around earlier than the ring does, which
    // copy mode does not mind here: only the cookies are looked at.
    while (next < packets) {
      const std::array fragments = {rig->payload(next % 100, 0, 60),
                                    rig->payload(next % 90, 100, 60)};
      const std::size_t used = has_fragments() ? next % 3 : 1;
      if (!rig->send({fragments.data(), used}, next, Checksum::software, !has_fragments())) {
        was_full = true;
        break;
      }
      ++next;
    }
    rig->complete_all();
    ASSERT_EQ(rig->outstanding, 0U);
  }
  EXPECT_TRUE(was_full);
  EXPECT_EQ(rig->completed.size(), packets);
  for (const auto& [which, times] : rig->completed)
    ASSERT_EQ(times.size(), 1U) << which;
  const nic::QueueCounters& counters = rig->queue().counters();
  EXPECT_EQ(counters.tx_packets, packets);
  EXPECT_EQ(counters.tx_completions, packets);
  EXPECT_EQ(counters.unexpected_completions, 0U);
  EXPECT_EQ(counters.tx_invalid_descriptors, 0U);
  EXPECT_LT(counters.tx_kicks, packets / 16);
}

TEST_F(AfXdpTransmit, a_packet_goes_in_whole_or_not_at_all) {
  AfXdpRig::Options options;
  options.port.ring_entries = 64;
  open(options);
  if (!has_fragments()) GTEST_SKIP() << rig->port->capabilities().description;
  const std::array fragments = {rig->payload(1, 0, 10), rig->payload(2, 0, 10)};
  std::uint32_t taken = 0;
  while (rig->send(fragments, taken, Checksum::software))
    ++taken;
  EXPECT_EQ(taken, 64U / 3);
  EXPECT_TRUE(rig->send({}, taken, Checksum::software));  // a header alone still fits
  rig->complete_all();
  EXPECT_EQ(rig->completed.size(), taken + 1);
}

TEST_F(AfXdpTransmit, an_interface_that_goes_down_is_reported_and_comes_back) {
  open();
  ASSERT_EQ(run_command({"ip", "link", "set", rig->net.near().interface_name, "down"}).exit_code,
            0);
  EXPECT_FALSE(rig->port->link_up());
  const std::array fragments = {rig->payload(0, 0, 1000)};
  ASSERT_TRUE(rig->send(fragments, 1, Checksum::software, true));
  EXPECT_EQ(rig->queue().kick(), ENETDOWN);
  std::array<nic::TxCompletion, 4> none;
  EXPECT_EQ(rig->queue().reap(none), 0U);

  ASSERT_EQ(run_command({"ip", "link", "set", rig->net.near().interface_name, "up"}).exit_code, 0);
  EXPECT_TRUE(rig->port->link_up());
  rig->complete_all();
  EXPECT_EQ(rig->completed[1], std::vector{nic::TxStatus::sent});
  EXPECT_EQ(rig->next_datagram(), rig->bytes_of(fragments));
}

TEST_F(AfXdpTransmit, stopping_returns_what_is_outstanding) {
  open();
  const std::array fragments = {rig->payload(0, 0, 1000)};
  for (std::uint32_t i = 0; i < 5; ++i)
    ASSERT_TRUE(rig->send(fragments, i, Checksum::software, true));
  ASSERT_EQ(rig->queue().kick(), 0);  // sent and completed, but not reaped
  for (std::uint32_t i = 5; i < 12; ++i)
    ASSERT_TRUE(rig->send(fragments, i, Checksum::software, true));
  rig->queue().stop();
  rig->queue().stop();

  std::map<std::uint32_t, nic::TxStatus> returned;
  std::array<nic::TxCompletion, 3> batch;
  while (const std::size_t got = rig->queue().reap(batch))
    for (std::size_t i = 0; i < got; ++i)
      EXPECT_TRUE(returned.emplace(batch[i].cookie, batch[i].status).second);
  ASSERT_EQ(returned.size(), 12U);
  for (const auto& [which, status] : returned)
    EXPECT_EQ(status, which < 5 ? nic::TxStatus::sent : nic::TxStatus::dropped) << which;
  EXPECT_EQ(rig->queue().counters().tx_dropped, 7U);
}

TEST_F(AfXdpTransmit, a_stopped_queue_of_an_interface_that_is_down_returns_everything) {
  open();
  ASSERT_TRUE(rig->send(std::array{rig->payload(0, 0, 10)}, 3, Checksum::software, true));
  ASSERT_EQ(run_command({"ip", "link", "set", rig->net.near().interface_name, "down"}).exit_code,
            0);
  rig->queue().stop();
  std::array<nic::TxCompletion, 2> batch;
  ASSERT_EQ(rig->queue().reap(batch), 1U);
  EXPECT_EQ(batch[0].cookie, 3U);
  EXPECT_EQ(batch[0].status, nic::TxStatus::dropped);
}

TEST_F(AfXdpTransmit, a_stopped_queue_of_an_interface_that_is_gone_returns_everything) {
  open();
  ASSERT_TRUE(rig->send(std::array{rig->payload(0, 0, 10)}, 3, Checksum::software, true));
  ASSERT_EQ(run_command({"ip", "link", "delete", rig->net.near().interface_name}).exit_code, 0);
  EXPECT_EQ(rig->queue().kick(), ENODEV);
  EXPECT_EQ(rig->queue().health(), ENODEV);
  EXPECT_FALSE(rig->port->link_up());
  rig->queue().stop();
  std::array<nic::TxCompletion, 2> batch;
  EXPECT_EQ(rig->queue().reap(batch), 1U);
}

TEST_F(AfXdpTransmit, two_queues_share_the_memory) {
  AfXdpRig::Options options;
  options.net.queues = 2;
  options.port.queues = {0, 1};
  open(options);
  ASSERT_EQ(rig->port->queue_count(), 2U);
  for (std::uint32_t index = 0; index < 2; ++index) {
    const std::array fragments = {rig->payload(index, 0, 500)};
    ASSERT_TRUE(rig->send(fragments, index, Checksum::software, !has_fragments(), index));
    rig->complete_all(index);
    EXPECT_EQ(rig->completed[index], std::vector{nic::TxStatus::sent});
    EXPECT_EQ(rig->next_datagram(), rig->bytes_of(fragments));
  }
}

}  // namespace
}  // namespace strictsend::test
