// SPDX-License-Identifier: Apache-2.0
// What nic/af_xdp relies on the kernel to do. A failure here says that this kernel differs; the
// comments say which code to look at.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "nic/af_xdp/queue_probe.hpp"
#include "nic/af_xdp/socket.hpp"
#include "tests/support/dma_buffer.hpp"
#include "tests/support/netns.hpp"

namespace strictsend::test {
namespace {

using nic::af_xdp::Socket;
using nic::af_xdp::SocketConfig;
namespace abi = nic::af_xdp::abi;

class AfXdpFacts : public testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = NetNamespacePair::unavailable()) GTEST_SKIP() << *reason;
    NetNamespacePair::Options options;
    options.mtu_bytes = 9000;
    auto made = NetNamespacePair::create(options);
    ASSERT_TRUE(made) << made.error().message();
    net.emplace(std::move(*made));
    config.interface_index = net->near().interface_index;
    config.ring_entries = 64;
    config.fill_ring_entries = 8;
    // Only the Ethernet header matters: the far end drops the rest.
    for (FrameIndex frame = dma.first_free(); frame.value < 200; ++frame)
      dma.put(frame, 64, std::as_bytes(std::span(net->peer().mac)));
  }

  /// False: this kernel has no such mode (the port then does without it).
  bool open() {
    auto opened = Socket::open(config, dma.memory(), FrameIndex{1}, FrameIndex{9});
    if (!opened && opened.error().errno_value == EINVAL) return false;
    EXPECT_TRUE(opened) << opened.error().message();
    if (!opened) return false;
    socket.emplace(std::move(*opened));
    return true;
  }
  [[nodiscard]] std::uint64_t address(std::uint32_t n = 0) const {
    return offset_of(dma.first_free().plus(n)).value + 64;
  }
  void put(std::uint64_t at, std::uint32_t length, std::uint32_t options = 0) {
    socket->tx.put(xdp_desc{at, length, options});
  }
  int kick() {
    socket->tx.publish();
    return ::sendto(socket->fd(), nullptr, 0, MSG_DONTWAIT, nullptr, 0) < 0 ? errno : 0;
  }
  std::vector<std::uint64_t> completions() {
    std::vector<std::uint64_t> addresses;
    for (std::uint32_t left = socket->completion.available(); left > 0; --left)
      addresses.push_back(socket->completion.take());
    socket->completion.release();
    return addresses;
  }
  [[nodiscard]] std::uint64_t invalid_descriptors() const {
    xdp_statistics statistics{};
    socklen_t bytes = sizeof statistics;
    ::getsockopt(socket->fd(), SOL_XDP, XDP_STATISTICS, &statistics, &bytes);
    return statistics.tx_invalid_descs;
  }

  std::optional<NetNamespacePair> net;
  DmaBuffer dma{256, 8};
  SocketConfig config;
  std::optional<Socket> socket;
};

// PortCapabilities::late_completion is false for veth.
TEST_F(AfXdpFacts, copy_mode_completes_inside_the_kick_in_order) {
  ASSERT_TRUE(open());
  for (std::uint32_t i = 0; i < 3; ++i)
    put(address(i), 60);
  EXPECT_TRUE(completions().empty());
  ASSERT_EQ(kick(), 0);
  EXPECT_EQ(socket->tx.pending(), 0U);
  EXPECT_EQ(completions(), (std::vector{address(0), address(1), address(2)}));
}

// TxLedger: a packet's descriptors complete together and in order.
TEST_F(AfXdpFacts, a_packet_of_several_descriptors_completes_with_all_of_them) {
  config.multi_buffer = true;
  if (!open()) GTEST_SKIP() << "no multi-buffer before Linux 6.6";
  put(address(0), 60, abi::descriptor_continued);
  put(address(1), 60, abi::descriptor_continued);
  put(address(2), 60);
  ASSERT_EQ(kick(), 0);
  EXPECT_EQ(completions(), (std::vector{address(0), address(1), address(2)}));
}

// AfXdpQueue asserts that it never submits such a one. On Linux 6.18 it is completed like one that
// was sent, and ends the call; older kernels skip it and complete only the others.
TEST_F(AfXdpFacts, an_invalid_descriptor_is_consumed_and_only_a_counter_tells) {
  ASSERT_TRUE(open());
  const std::uint64_t beyond = dma.memory().size_bytes - 10;
  put(beyond, 60);
  put(address(1), 60);
  std::vector<std::uint64_t> completed;
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(kick(), 0);
    for (const std::uint64_t one : completions())
      completed.push_back(one);
  }
  EXPECT_EQ(socket->tx.pending(), 0U);
  EXPECT_EQ(invalid_descriptors(), 1U);
  EXPECT_EQ(std::ranges::count(completed, address(1)), 1);
  RecordProperty("completed_though_invalid",
                 static_cast<int>(std::ranges::count(completed, beyond)));
}

// AfXdpQueue::faulted_: after EINVAL completions prove nothing.
TEST_F(AfXdpFacts, a_kick_that_fails_with_einval_consumes_nothing) {
  config.tx_metadata = true;
  if (!open()) GTEST_SKIP() << "no transmit metadata before Linux 6.8";
  const abi::TxMetadata beyond{abi::metadata_checksum, 50, 16, 0};
  std::memcpy(dma.memory().base + address() - sizeof beyond, &beyond, sizeof beyond);
  put(address(), 60, abi::descriptor_has_metadata);
  std::size_t completed = 0;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(kick(), EINVAL);
    EXPECT_EQ(socket->tx.pending(), 1U);
    completed += completions().size();
  }
  RecordProperty("completions", static_cast<int>(completed));
}

// PortCapabilities::max_fragment_bytes and header_headroom_bytes.
TEST_F(AfXdpFacts, the_metadata_length_is_charged_to_every_descriptor) {
  config.tx_metadata = true;
  config.multi_buffer = true;
  if (!open()) GTEST_SKIP() << "no transmit metadata before Linux 6.8";
  constexpr std::uint32_t room = page_bytes - sizeof(abi::TxMetadata);
  put(address(0), 60, abi::descriptor_continued);
  put(offset_of(dma.first_free().plus(3)).value, room);
  ASSERT_EQ(kick(), 0);
  EXPECT_EQ(invalid_descriptors(), 0U);
  put(offset_of(dma.first_free().plus(3)).value, room + 1);
  ASSERT_EQ(kick(), 0);
  EXPECT_EQ(invalid_descriptors(), 1U);
  put(sizeof(abi::TxMetadata) - 1, 60);  // begins below the metadata's length
  ASSERT_EQ(kick(), 0);
  EXPECT_EQ(invalid_descriptors(), 2U);
  put(sizeof(abi::TxMetadata), 60);
  ASSERT_EQ(kick(), 0);
  EXPECT_EQ(invalid_descriptors(), 2U);
}

TEST_F(AfXdpFacts, without_metadata_a_descriptor_may_be_a_whole_page) {
  ASSERT_TRUE(open());
  put(offset_of(dma.first_free()).value, page_bytes);
  ASSERT_EQ(kick(), 0);
  EXPECT_EQ(invalid_descriptors(), 0U);
  put(offset_of(dma.first_free()).value, page_bytes + 1);
  ASSERT_EQ(kick(), 0);
  EXPECT_EQ(invalid_descriptors(), 1U);
}

// open.cpp: copy_mode_max_fragments.
TEST_F(AfXdpFacts, eighteen_descriptors_pass_and_nineteen_do_not) {
  config.multi_buffer = true;
  if (!open()) GTEST_SKIP() << "no multi-buffer before Linux 6.6";
  for (const std::uint32_t count : {18U, 19U}) {
    for (std::uint32_t i = 0; i < count; ++i)
      put(address(i), 60, i + 1 < count ? abi::descriptor_continued : 0);
    ASSERT_EQ(kick(), 0);
    if (count == 18) {
      EXPECT_EQ(completions().size(), 18U);
      EXPECT_EQ(invalid_descriptors(), 0U);
    } else {
      EXPECT_GT(invalid_descriptors(), 0U);
    }
  }
}

// Socket::close unmaps the rings, and QueueProbe believes a successful bind.
TEST_F(AfXdpFacts, a_mapped_ring_keeps_the_queue_taken) {
  ASSERT_TRUE(open());
  xdp_mmap_offsets offsets{};
  socklen_t bytes = sizeof offsets;
  ASSERT_EQ(::getsockopt(socket->fd(), SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &bytes), 0);
  auto mapping = nic::af_xdp::RingMapping::map(socket->fd(), offsets.rx, XDP_PGOFF_RX_RING,
                                               config.ring_entries, sizeof(xdp_desc));
  ASSERT_TRUE(mapping) << mapping.error().message();
  auto probe = nic::af_xdp::QueueProbe::open(config.interface_index, 0);
  ASSERT_TRUE(probe) << probe.error().message();
  socket->close();
  EXPECT_FALSE(probe->wait(milliseconds(100)));
  *mapping = {};
  EXPECT_TRUE(probe->wait(seconds(10)));
}

}  // namespace
}  // namespace strictsend::test
