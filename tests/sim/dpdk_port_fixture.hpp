// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <rte_mbuf.h>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "nic/dpdk/tx_watchdog.hpp"
#include "tests/support/dma_buffer.hpp"
#include "tests/support/ring_port.hpp"

namespace strictsend::test {

/// DPDK's port on a net_ring, whose device and engine threads the test is.
class DpdkPortTest : public ::testing::Test {
 protected:
  explicit DpdkPortTest(std::uint32_t queues = 1, unsigned ring_entries = 256,
                        std::uint32_t mtu_bytes = 0,
                        Duration hang_limit = nic::dpdk::TxWatchdog::limit_default)
      : ring(dma.memory(), queues, ring_entries, 0, mtu_bytes, hang_limit) {}

  /// A header and a piece of a page.
  bool send(std::uint32_t cookie, std::size_t queue = 0) {
    const std::array<nic::Fragment, 2> fragments{
        dma.put(dma.first_free(), 0, "header of the packet to be sent"),
        dma.put(dma.first_free().plus(1), 100, "payload " + std::to_string(cookie))};
    const nic::TxPacket packet{fragments, std::nullopt, cookie};
    return ring.queue(queue).transmit({&packet, 1}) == 1;
  }
  std::vector<std::uint32_t> reaped(std::size_t queue = 0) {
    std::array<nic::TxCompletion, 16> completions;
    std::vector<std::uint32_t> cookies;
    while (const std::size_t count = ring.queue(queue).reap(completions))
      for (std::size_t i = 0; i < count; ++i)
        cookies.push_back(completions[i].cookie);
    return cookies;
  }
  /// Turns the queues, as engine threads do, until `done`.
  bool turn_until(const std::function<bool()>& done) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done()) {
      if (std::chrono::steady_clock::now() > limit) return false;
      for (std::size_t i = 0; i < ring.port().queue_count(); ++i)
        static_cast<void>(ring.queue(i).kick());
      std::this_thread::yield();
    }
    return true;
  }
  static std::string text_of(const rte_mbuf& chain) {
    std::string text;
    for (const rte_mbuf* piece = &chain; piece != nullptr; piece = piece->next)
      text.append(rte_pktmbuf_mtod(piece, const char*), piece->data_len);
    return text;
  }

  using Cookies = std::vector<std::uint32_t>;
  DmaBuffer dma{64};
  testing::RingPort ring;
};

}  // namespace strictsend::test
