// SPDX-License-Identifier: Apache-2.0
// The parts of DPDK's port that need no device: whose packet is complete, and what is asked of
// which device.
#include <array>
#include <atomic>
#include <rte_ethdev.h>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "nic/dpdk/driver_facts.hpp"
#include "nic/dpdk/plan.hpp"
#include "nic/dpdk/tx_records.hpp"

namespace strictsend::nic::dpdk {
namespace {

// TxRecords.

/// What freeing one mbuf does to the shared info that it is attached to.
void free_mbuf(TxRecord& record) {
  if (rte_mbuf_ext_refcnt_update(&record.shared, -1) == 0)
    record.shared.free_cb(nullptr, record.shared.fcb_opaque);
}

std::vector<std::uint32_t> collected(TxRecords& records) {
  std::array<TxCompletion, 8> completions;
  std::vector<std::uint32_t> cookies;
  while (const std::size_t count = records.collect(completions))
    for (std::size_t i = 0; i < count; ++i)
      cookies.push_back(completions[i].cookie);
  return cookies;
}

using Cookies = std::vector<std::uint32_t>;

TEST(TxRecords, complete_a_packet_when_the_last_of_its_mbufs_is_freed) {
  TxRecords records(4);
  TxRecord* packet = records.take(7, 3);
  ASSERT_NE(packet, nullptr);
  free_mbuf(*packet);
  free_mbuf(*packet);
  EXPECT_EQ(collected(records), Cookies{});
  EXPECT_EQ(records.outstanding(), 1U);
  free_mbuf(*packet);
  EXPECT_EQ(collected(records), Cookies{7});
  EXPECT_EQ(collected(records), Cookies{}) << "once";
  EXPECT_EQ(records.outstanding(), 0U);
  EXPECT_EQ(records.with_dpdk(), 0U);
}

TEST(TxRecords, complete_by_status_and_say_nothing_at_the_callback) {
  TxRecords records(2);
  TxRecord* packet = records.take(7, 1);
  std::array<TxCompletion, 8> completions;
  ASSERT_EQ(records.complete_all(completions, TxStatus::sent), 1U);
  EXPECT_EQ(completions[0].cookie, 7U);
  EXPECT_EQ(records.outstanding(), 0U);
  EXPECT_EQ(records.with_dpdk(), 1U) << "the shared info is DPDK's until the callback";

  // The engine may use the cookie again at once; it goes into another record.
  TxRecord* again = records.take(7, 1);
  ASSERT_NE(again, nullptr);
  EXPECT_NE(again, packet);
  EXPECT_EQ(records.take(8, 1), nullptr) << "no record is used before its callback";
  free_mbuf(*packet);
  EXPECT_EQ(collected(records), Cookies{}) << "the late callback is the first packet's";
  EXPECT_EQ(records.outstanding(), 1U);
  free_mbuf(*again);
  EXPECT_EQ(collected(records), Cookies{7});
}

TEST(TxRecords, complete_all_goes_from_the_oldest_on_as_far_as_there_is_room) {
  TxRecords records(8);
  std::vector<TxRecord*> packets;
  for (std::uint32_t cookie = 0; cookie < 5; ++cookie)
    packets.push_back(records.take(cookie, 1));
  free_mbuf(*packets[1]);
  EXPECT_EQ(collected(records), Cookies{1});
  std::array<TxCompletion, 3> completions;
  ASSERT_EQ(records.complete_all(completions, TxStatus::dropped), 3U);
  EXPECT_EQ(completions[0].cookie, 0U);
  EXPECT_EQ(completions[1].cookie, 2U);
  EXPECT_EQ(completions[2].cookie, 3U);
  EXPECT_EQ(completions[2].status, TxStatus::dropped);
  ASSERT_EQ(records.complete_all(completions, TxStatus::dropped), 1U);
  EXPECT_EQ(completions[0].cookie, 4U);
  for (const std::size_t i : {0U, 2U, 3U, 4U})
    free_mbuf(*packets[i]);
  EXPECT_EQ(collected(records), Cookies{});
  EXPECT_EQ(records.with_dpdk(), 0U);
}

TEST(TxRecords, give_back_a_record_that_nothing_was_attached_to) {
  TxRecords records(1);
  TxRecord* packet = records.take(1, 2);
  records.put_back(*packet);
  EXPECT_EQ(records.outstanding(), 0U);
  EXPECT_NE(records.take(2, 1), nullptr);
  free_mbuf(*packet);
  EXPECT_EQ(collected(records), Cookies{2});
}

TEST(TxRecords, take_a_second_callback_for_a_fault) {
  TxRecords records(2);
  TxRecord* packet = records.take(1, 1);
  free_mbuf(*packet);
  packet->shared.free_cb(nullptr, packet->shared.fcb_opaque);
  EXPECT_EQ(records.unexpected(), 1U);
  EXPECT_EQ(collected(records), Cookies{1});
  packet->shared.free_cb(nullptr, packet->shared.fcb_opaque);
  EXPECT_EQ(records.unexpected(), 2U);
  EXPECT_EQ(collected(records), Cookies{});
}

TEST(TxRecords, collect_what_other_threads_free) {
  constexpr std::uint32_t packets = 20'000;
  TxRecords records(64);
  // A hand-over of one slot for each of two consumers, as two rings are.
  std::array<std::atomic<TxRecord*>, 2> handed{};
  std::atomic<bool> done = false;
  std::vector<std::thread> consumers;
  for (auto& slot : handed) {
    consumers.emplace_back([&slot, &done] {
      while (!done) {
        TxRecord* record = slot.exchange(nullptr);
        if (record == nullptr) {
          std::this_thread::yield();
          continue;
        }
        free_mbuf(*record);
        free_mbuf(*record);
      }
    });
  }
  std::multiset<std::uint32_t> completed;
  std::uint32_t next = 0;
  while (completed.size() < packets) {
    for (auto& slot : handed) {
      if (next == packets || slot.load() != nullptr) continue;
      if (TxRecord* record = records.take(next, 2)) {
        slot.store(record);
        ++next;
      }
    }
    for (const std::uint32_t cookie : collected(records))
      completed.insert(cookie);
  }
  done = true;
  for (std::thread& consumer : consumers)
    consumer.join();
  EXPECT_EQ(std::set<std::uint32_t>(completed.begin(), completed.end()).size(), packets)
      << "each once";
  EXPECT_EQ(records.outstanding(), 0U);
}

// plan_device.

class Plan : public testing::Test {
 protected:
  Result<DevicePlan> plan() { return plan_device(config, device, driver, 4); }
  std::string refusal() {
    const auto made = plan();
    return made ? "planned" : made.error().message();
  }

  DpdkConfig config{.device = "0000:01:00.0"};
  DeviceFacts device{.name = "0000:01:00.0",
                     .driver = "net_test",
                     .mtu_bytes_max = 9000,
                     .rx_offloads = ~std::uint64_t{0},
                     .tx_offloads = ~std::uint64_t{0},
                     .rss_types = ~std::uint64_t{0},
                     .rx_queues_max = 8,
                     .tx_queues_max = 16};
  DriverFacts driver;
};

TEST_F(Plan, takes_all_that_a_full_device_offers) {
  const auto made = plan();
  ASSERT_TRUE(made) << made.error().message();
  const PortCapabilities& can = made->capabilities;
  EXPECT_EQ(can.driver, "net_test");
  EXPECT_EQ(made->queues, 4) << "one for each processor";
  EXPECT_NE(made->rss_types & RTE_ETH_RSS_NONFRAG_IPV4_TCP, 0U);
  EXPECT_TRUE(can.checksum_offload);
  EXPECT_EQ(can.segmented_bytes_max, 65'535U);
  EXPECT_EQ(can.segmented_fragments_max, 18U);
  EXPECT_EQ(can.max_fragments, 18U);
  EXPECT_FALSE(can.fragment_crosses_page);
  EXPECT_TRUE(can.owns_interface);
  EXPECT_TRUE(can.late_completion) << "of an unknown driver nothing prompt is expected";
  EXPECT_EQ(made->tx_offloads & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE, 0U)
      << "incompatible with external buffers";
}

TEST_F(Plan, keeps_to_the_devices_segment_limits) {
  device.segments_max = 12;
  device.mtu_segments_max = 5;
  const auto made = plan();
  ASSERT_TRUE(made);
  EXPECT_EQ(made->capabilities.segmented_fragments_max, 11U) << "one more for the headers";
  EXPECT_EQ(made->capabilities.max_fragments, 5U);
}

TEST_F(Plan, does_in_software_what_the_device_lacks) {
  device.tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_TCP_TSO;
  auto made = plan();
  ASSERT_TRUE(made);
  EXPECT_FALSE(made->capabilities.checksum_offload);
  EXPECT_EQ(made->capabilities.segmented_bytes_max, 0U) << "segments need checksums";
  EXPECT_EQ(made->tx_offloads, RTE_ETH_TX_OFFLOAD_MULTI_SEGS);

  device.tx_offloads = RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
  made = plan();
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->capabilities.checksum_offload);
  EXPECT_EQ(made->capabilities.max_fragments, 1U) << "linear packets";
  EXPECT_EQ(made->capabilities.segmented_bytes_max, 0U);
}

TEST_F(Plan, leaves_offloads_alone_that_are_not_wanted) {
  config.want_segmentation = false;
  auto made = plan();
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->capabilities.checksum_offload);
  EXPECT_EQ(made->capabilities.segmented_bytes_max, 0U);
  config.want_checksum_offload = false;
  made = plan();
  ASSERT_TRUE(made);
  EXPECT_FALSE(made->capabilities.checksum_offload);
  EXPECT_NE(made->capabilities.description.find("software checksums as configured"),
            std::string::npos);
}

TEST_F(Plan, explains_queues_that_cannot_be_had) {
  config.queues = 9;
  EXPECT_EQ(
      refusal(),
      "taking 9 queues of 0000:01:00.0 failed: Invalid argument (EINVAL): its driver net_test "
      "has 8 queue pairs: ask for at most as many (--queues)");
  config.queues = 2;
  device.rss_types = 0;
  EXPECT_NE(refusal().find("does not spread connections over queues (no RSS): use --queues 1"),
            std::string::npos)
      << refusal();
  config.queues = 0;
  const auto made = plan();
  ASSERT_TRUE(made);
  EXPECT_EQ(made->queues, 1) << "auto knows better";
  driver.spreads_by_itself = true;
  config.queues = 2;
  EXPECT_EQ(refusal(), "planned");
}

TEST_F(Plan, sets_jumbo_frames_within_the_devices_range) {
  config.mtu_bytes = 9000;
  const auto made = plan();
  ASSERT_TRUE(made);
  EXPECT_EQ(made->capabilities.mtu_bytes, 9000U);
  EXPECT_GE(made->capabilities.max_receive_bytes, 9014U);
  config.mtu_bytes = 9001;
  EXPECT_NE(refusal().find("takes 68 to 9000 bytes"), std::string::npos) << refusal();
}

TEST_F(Plan, counts_on_completions_only_where_the_driver_gives_them) {
  for (const char* name : {"net_e1000_em", "net_e1000_igb", "net_tap", "net_null"}) {
    driver = facts_of_driver(name);
    EXPECT_FALSE(plan()->capabilities.late_completion) << name;
  }
  for (const char* name : {"net_virtio", "net_vmxnet3", "net_ring", "net_of_tomorrow"}) {
    driver = facts_of_driver(name);
    EXPECT_TRUE(plan()->capabilities.late_completion) << name;
  }
}

}  // namespace
}  // namespace strictsend::nic::dpdk
