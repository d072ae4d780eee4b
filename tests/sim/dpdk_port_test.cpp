// SPDX-License-Identifier: Apache-2.0
// DPDK's port on a net_ring: what its device is given, and when it believes that the device is
// done.
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <rte_bus_vdev.h>
#include <rte_dev.h>
#include <rte_mbuf.h>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "nic/dpdk/eal.hpp"
#include "nic/dpdk/open.hpp"
#include "tests/sim/dpdk_port_fixture.hpp"
#include "tests/support/dma_buffer.hpp"

namespace strictsend::nic::dpdk {
namespace {

/// Whether the name of a virtual device is taken.
bool is_on_bus(const std::string& device) {
  const int made = rte_vdev_init(device.c_str(), nullptr);
  if (made == 0) rte_vdev_uninit(device.c_str());
  return made == -EEXIST;
}

using test::DmaBuffer;
using test::DpdkPortTest;

class DpdkPortTwoQueues : public DpdkPortTest {
 protected:
  DpdkPortTwoQueues() : DpdkPortTest(2) {}
};

class DpdkPortJumbo : public DpdkPortTest {
 protected:
  DpdkPortJumbo() : DpdkPortTest(1, 256, 9000) {}
};

class DpdkPortSmallRing : public DpdkPortTest {
 protected:
  DpdkPortSmallRing() : DpdkPortTest(1, 8) {}
};

TEST_F(DpdkPortTest, hands_over_the_pages_themselves) {
  ASSERT_TRUE(send(5));
  EXPECT_EQ(ring.take(), nullptr) << "before the kick";
  EXPECT_EQ(ring.queue().kick(), 0);
  rte_mbuf* chain = ring.take();
  ASSERT_NE(chain, nullptr);
  EXPECT_EQ(text_of(*chain), "header of the packet to be sentpayload 5");
  EXPECT_EQ(chain->nb_segs, 2);
  EXPECT_EQ(rte_pktmbuf_mtod(chain->next, std::byte*),
            dma.memory().base + offset_of(dma.first_free().plus(1)).value + 100)
      << "no copy";
  rte_pktmbuf_free(chain);
  EXPECT_EQ(reaped(), Cookies{5});
}

TEST_F(DpdkPortTest, believes_a_completion_only_when_the_consumer_has_freed_the_packet) {
  for (std::uint32_t cookie = 0; cookie < 3; ++cookie)
    ASSERT_TRUE(send(cookie));
  ASSERT_EQ(ring.queue().kick(), 0);
  std::vector<rte_mbuf*> held{ring.take(), ring.take(), ring.take()};
  EXPECT_EQ(reaped(), Cookies{}) << "tx_burst took them, which proves nothing";
  std::thread consumer([&] { rte_pktmbuf_free(held[1]); });
  consumer.join();
  EXPECT_EQ(reaped(), Cookies{1});
  rte_pktmbuf_free(held[0]);
  rte_pktmbuf_free(held[2]);
  EXPECT_EQ(reaped().size(), 2U);
  EXPECT_EQ(ring.queue().counters().tx_completions, 3U);
}

TEST_F(DpdkPortTest, waits_for_a_clone_of_the_packet_too) {
  ASSERT_TRUE(send(1));
  ASSERT_EQ(ring.queue().kick(), 0);
  rte_mbuf* chain = ring.take();
  rte_mempool* pool = rte_pktmbuf_pool_create("clones", 63, 0, 0, 0, 0);
  ASSERT_NE(pool, nullptr);
  rte_mbuf* clone = rte_pktmbuf_clone(chain, pool);
  ASSERT_NE(clone, nullptr);
  rte_pktmbuf_free(chain);
  EXPECT_EQ(reaped(), Cookies{});
  rte_pktmbuf_free(clone);
  EXPECT_EQ(reaped(), Cookies{1});
  rte_mempool_free(pool);
}

TEST_F(DpdkPortSmallRing, a_full_ring_is_backpressure_and_loses_nothing) {
  std::uint32_t sent = 0;
  while (sent < 1'000 && send(sent)) {
    ++sent;
    ASSERT_EQ(ring.queue().kick(), 0);
  }
  EXPECT_GE(sent, 7U);
  ASSERT_LT(sent, 1'000U) << "it took more than ring and staging hold";
  std::vector<std::uint32_t> completed;
  while (completed.size() < sent) {
    rte_mbuf* chain = ring.take();
    ASSERT_NE(chain, nullptr) << completed.size() << " of " << sent;
    rte_pktmbuf_free(chain);
    ASSERT_EQ(ring.queue().kick(), 0);
    for (const std::uint32_t cookie : reaped())
      completed.push_back(cookie);
  }
  EXPECT_TRUE(std::is_sorted(completed.begin(), completed.end()));
}

TEST_F(DpdkPortJumbo, sends_and_receives_frames_of_several_pages) {
  EXPECT_EQ(ring.port().capabilities().mtu_bytes, 9000U);
  const std::string page(page_bytes, 'p');
  const FrameIndex first = dma.first_free();
  const std::array<Fragment, 4> fragments{
      dma.put(first, 0, std::string(66, 'h')), dma.put(first.plus(1), 0, page),
      dma.put(first.plus(2), 0, page), dma.put(first.plus(3), 0, std::string(756, 'q'))};
  const TxPacket packet{fragments, std::nullopt, 9};
  ASSERT_EQ(ring.queue().transmit({&packet, 1}), 1U);
  ASSERT_EQ(ring.queue().kick(), 0);
  rte_mbuf* chain = ring.take();
  ASSERT_NE(chain, nullptr);
  EXPECT_EQ(chain->pkt_len, 9014U);
  EXPECT_EQ(text_of(*chain), std::string(66, 'h') + page + page + std::string(756, 'q'));
  rte_pktmbuf_free(chain);
  EXPECT_EQ(reaped(), Cookies{9});

  ASSERT_TRUE(ring.inject(std::vector<std::byte>(9014, std::byte{0x17})));
  std::array<RxPacket, 4> packets;
  ASSERT_EQ(ring.queue().receive(packets), 1U);
  EXPECT_EQ(packets[0].bytes.size(), 9014U);
  EXPECT_GE(ring.port().capabilities().max_receive_bytes, 9014U);
  ring.queue().release_received();
}

TEST_F(DpdkPortTest, receives_and_gives_the_buffers_back) {
  std::vector<std::byte> frame(60, std::byte{0x42});
  for (int round = 0; round < 3'000; ++round) {  // more than there are buffers
    ASSERT_TRUE(ring.inject(frame));
    std::array<RxPacket, 4> packets;
    ASSERT_EQ(ring.queue().receive(packets), 1U);
    EXPECT_EQ(packets[0].bytes.size(), 60U);
    EXPECT_EQ(packets[0].bytes[59], std::byte{0x42});
    ring.queue().release_received();
  }
  EXPECT_EQ(ring.queue().counters().rx_packets, 3'000U);
}

TEST_F(DpdkPortTest, what_the_consumer_still_holds_at_the_stop_stays_out_until_it_lets_go) {
  ASSERT_TRUE(send(1));
  ASSERT_TRUE(send(2));
  ASSERT_EQ(ring.queue().kick(), 0);
  rte_mbuf* held = ring.take();
  rte_pktmbuf_free(ring.take());
  ASSERT_TRUE(send(3));  // staged, never handed over
  ring.queue().stop();
  std::vector<std::uint32_t> back = reaped();
  std::sort(back.begin(), back.end());
  EXPECT_EQ(back, (Cookies{2, 3}));
  rte_pktmbuf_free(held);
  EXPECT_EQ(reaped(), Cookies{1});
}

TEST_F(DpdkPortTest, a_reset_keeps_what_is_out_and_goes_on_after_it) {
  ASSERT_TRUE(send(1));
  ASSERT_EQ(ring.queue().kick(), 0);
  rte_mbuf* held = ring.take();
  ring.port().request_reset();
  ASSERT_TRUE(turn_until([&] { return ring.port().resets() == 1; }));
  EXPECT_EQ(reaped(), Cookies{}) << "quarantined: the consumer reads it still";
  ASSERT_TRUE(turn_until([&] { return send(2); }));
  ASSERT_EQ(ring.queue().kick(), 0);
  rte_mbuf* second = ring.take();
  ASSERT_NE(second, nullptr);
  rte_pktmbuf_free(held);
  rte_pktmbuf_free(second);
  EXPECT_EQ(reaped().size(), 2U);
}

TEST_F(DpdkPortTest, is_reset_for_who_needs_the_completions) {
  ASSERT_TRUE(send(1));
  ASSERT_EQ(ring.queue().kick(), 0);
  ring.queue().hurry();
  ASSERT_TRUE(turn_until([&] { return ring.port().resets() == 1; }));
  EXPECT_EQ(ring.port().hangs(), 0U);
  rte_pktmbuf_free(ring.take());
  EXPECT_EQ(reaped(), Cookies{1});
}

TEST_F(DpdkPortTwoQueues, a_reset_waits_for_every_queues_thread) {
  ring.port().request_reset();
  const auto limit = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
  while (std::chrono::steady_clock::now() < limit)
    static_cast<void>(ring.queue(0).kick());
  EXPECT_EQ(ring.port().resets(), 0U) << "queue 1's thread may be inside the device";
  EXPECT_TRUE(turn_until([&] { return ring.port().resets() == 1; }));
}

/// As when the kernel asks for a PCI device: vfio's request, which is repeated until it is gone.
void ask_for(const std::string& device) {
  rte_dev_event_callback_process(device.c_str(), RTE_DEV_EVENT_REMOVE);
}

TEST_F(DpdkPortTwoQueues, a_device_that_the_bus_wants_back_is_given_back_when_both_have_stopped) {
  const std::string device = ring.device_name();
  ASSERT_TRUE(send(1));
  ASSERT_EQ(ring.queue().kick(), 0);
  rte_mbuf* held = ring.take();
  EXPECT_EQ(ring.port().failure(), "");
  for (int i = 0; i < 3; ++i)
    ask_for(device);
  const auto gone = [&](std::size_t queue) { return ring.queue(queue).kick() == ENODEV; };
  ASSERT_TRUE(turn_until([&] { return gone(0) && gone(1); }));
  EXPECT_EQ(ring.queue(1).health(), ENODEV);
  EXPECT_NE(ring.port().failure().find("removed from its bus"), std::string::npos);
  EXPECT_FALSE(ring.port().link_up());
  EXPECT_EQ(reaped(), Cookies{}) << "the consumer reads it still";
  ask_for(device);
  EXPECT_TRUE(is_on_bus(device)) << "its queues are in use";

  // The engine threads' part: each stops its queue, and waits for the other's.
  std::thread other([&] { ring.queue(1).stop(); });
  ring.queue(0).stop();
  other.join();
  ask_for(device);
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (is_on_bus(device) && std::chrono::steady_clock::now() < limit)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_FALSE(is_on_bus(device)) << "the port is still open, and nobody waits for its end";
  EXPECT_TRUE(ring.port().device_statistics().empty());
  rte_pktmbuf_free(held);
  EXPECT_EQ(reaped(), Cookies{1});
}

TEST_F(DpdkPortTest, another_devices_removal_is_not_ours) {
  ask_for("0000:01:00.0");
  ring.port().request_reset();
  ASSERT_TRUE(turn_until([&] { return ring.port().resets() == 1; }));
  EXPECT_EQ(ring.queue().kick(), 0);
  EXPECT_EQ(ring.port().failure(), "");
}

TEST_F(DpdkPortTwoQueues, survive_resets_while_threads_send) {
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> completed = 0;
  std::vector<std::thread> threads;
  for (std::size_t index = 0; index < 2; ++index) {
    threads.emplace_back([&, index] {
      std::uint32_t cookie = 0;
      std::uint64_t out = 0;
      const std::array<Fragment, 1> fragments{
          dma.put(dma.first_free().plus(static_cast<std::uint32_t>(2 + index)), 0,
                  "a packet of this queue's")};
      while (!stop || out > 0) {
        const TxPacket packet{fragments, std::nullopt, cookie};
        if (!stop && ring.queue(index).transmit({&packet, 1}) == 1) {
          ++cookie;
          ++out;
        }
        static_cast<void>(ring.queue(index).kick());
        while (rte_mbuf* chain = ring.take(index))
          rte_pktmbuf_free(chain);
        const std::size_t count = reaped(index).size();
        out -= count;
        completed += count;
      }
    });
  }
  for (std::uint64_t resets = 0; resets < 5; ++resets) {
    ring.port().request_reset();
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (ring.port().resets() == resets && std::chrono::steady_clock::now() < limit)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(ring.port().resets(), 5U);
  const std::uint64_t before = completed;
  while (completed < before + 1'000)
    std::this_thread::yield();
  stop = true;
  for (std::thread& thread : threads)
    thread.join();
}

TEST_F(DpdkPortTest, an_unknown_device_is_answered_with_those_there_are) {
  const auto refusal = [&](const std::string& device) {
    DpdkConfig config;
    config.device = device;
    DmaBuffer other(16);
    const auto port = open_dpdk_port(config, {}, other.memory());
    return port ? "opened" : port.error().message();
  };
  const std::string unknown = refusal("net_nothing0");
  EXPECT_NE(unknown.find("finding the DPDK port net_nothing0 failed: No such device (ENODEV)"),
            std::string::npos)
      << unknown;
  EXPECT_NE(unknown.find("--vdev=net_nothing0,"), std::string::npos) << unknown;
  EXPECT_NE(unknown.find("DPDK sees net_ring_strictsend"), std::string::npos) << unknown;
  const std::string pci = refusal("0000:ff:1f.7");
  EXPECT_NE(pci.find("no such PCI device here (lspci -D lists them)"), std::string::npos) << pci;
  EXPECT_NE(refusal("").find("name the device"), std::string::npos);
}

TEST_F(DpdkPortTest, eal_starts_once_for_a_process) {
  EXPECT_TRUE(start_eal({})) << "no arguments: as it is";
  const auto again = start_eal({"--no-huge"});
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().message().find("it runs in this process already"), std::string::npos)
      << again.error().message();
}

}  // namespace
}  // namespace strictsend::nic::dpdk
