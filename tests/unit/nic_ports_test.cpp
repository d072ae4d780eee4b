// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <fcntl.h>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "nic/af_xdp/netlink.hpp"
#include "nic/discard/discard_port.hpp"
#include "nic/dpdk/nic_config.h"
#include "nic/gather.hpp"
#include "nic/open_port.hpp"
#include "nic/validate.hpp"
#include "tests/support/dma_buffer.hpp"

namespace strictsend::nic {
namespace {

using test::DmaBuffer;

Fragment fragment(std::uint64_t offset, std::uint32_t length_bytes) {
  return {.offset = ArenaOffset{offset}, .length_bytes = length_bytes};
}

// check_packet.

/// Sixteen pages of memory that is never touched, and a port with every limit in reach.
class CheckPacket : public testing::Test {
 protected:
  PacketFault check(std::vector<Fragment> fragments,
                    std::optional<ChecksumRequest> checksum = std::nullopt) const {
    return check_packet(capabilities, memory, {.fragments = fragments, .checksum = checksum});
  }

  PortCapabilities capabilities{
      .mtu_bytes = 3000, .max_fragments = 3, .max_fragment_bytes = 2048, .checksum_offload = true};
  DmaMemory memory{.size_bytes = 16 * page_bytes};
};

TEST_F(CheckPacket, passes_a_header_and_fragments_up_to_every_limit) {
  EXPECT_EQ(check({fragment(4096, 14)}), PacketFault::none);
  EXPECT_EQ(check({fragment(4096, 54), fragment(2 * 4096 - 1448, 1448)}), PacketFault::none);
  EXPECT_EQ(
      check({fragment(4096, 966), fragment(8192, 1000), fragment(15 * page_bytes + 2048, 1048)}),
      PacketFault::none)
      << "3014 bytes: the MTU and an Ethernet header";
  EXPECT_EQ(check({fragment(15 * page_bytes + 2048, 2048)}), PacketFault::none);
}

TEST_F(CheckPacket, counts_fragments) {
  EXPECT_EQ(check({}), PacketFault::no_fragments);
  const Fragment small = fragment(4096, 20);
  EXPECT_EQ(check({small, small, small, small}), PacketFault::too_many_fragments);
}

TEST_F(CheckPacket, ends_the_process_with_the_fault_and_the_fragment_that_has_it) {
  GTEST_FLAG_SET(death_test_style, "fast");
  const auto send = [&](std::vector<Fragment> fragments) {
    assert_sendable(capabilities, memory, {.fragments = fragments});
  };
  send({fragment(4096, 54), fragment(8192, 2048)});
  EXPECT_DEATH(send({fragment(4096, 54), fragment(8192, 2049)}),
               "check_packet: fragment longer than the port takes .fragment 2 of 2: 2049 bytes at "
               "0x2000. .*nic_ports_test.cpp");
  EXPECT_DEATH(send({fragment(4096, 1000), fragment(8192, 2048)}),
               "check_packet: packet above the MTU .2 fragments, 3048 bytes.");
}

TEST_F(CheckPacket, looks_at_every_fragments_length) {
  EXPECT_EQ(check({fragment(4096, 54), fragment(8192, 0)}), PacketFault::empty_fragment);
  EXPECT_EQ(check({fragment(4096, 54), fragment(8192, 2049)}), PacketFault::fragment_too_long);
}

TEST_F(CheckPacket, keeps_fragments_inside_the_memory) {
  capabilities.fragment_crosses_page = true;
  EXPECT_EQ(check({fragment(16 * page_bytes - 53, 54)}), PacketFault::outside_memory);
  EXPECT_EQ(check({fragment(16 * page_bytes, 54)}), PacketFault::outside_memory);
  EXPECT_EQ(check({fragment(~std::uint64_t{0} - 10, 54)}), PacketFault::outside_memory)
      << "a sum that wraps";
}

TEST_F(CheckPacket, keeps_fragments_inside_a_page_where_the_port_needs_it) {
  EXPECT_EQ(check({fragment(8192 - 53, 54)}), PacketFault::crosses_page);
  capabilities.fragment_crosses_page = true;
  EXPECT_EQ(check({fragment(8192 - 53, 54)}), PacketFault::none);
}

TEST_F(CheckPacket, keeps_room_for_metadata_in_the_headers_own_frame) {
  capabilities.header_headroom_bytes = 24;
  EXPECT_EQ(check({fragment(4096 + 24, 54), fragment(8192, 100)}), PacketFault::none);
  EXPECT_EQ(check({fragment(4096 + 23, 54)}), PacketFault::no_headroom)
      << "the metadata would overwrite the end of another frame";
  EXPECT_EQ(check({fragment(4096 + 24, 54), fragment(0, 100)}), PacketFault::no_headroom)
      << "no fragment may start at offset 0";
}

TEST_F(CheckPacket, keeps_the_packet_between_an_ethernet_header_and_the_mtu) {
  EXPECT_EQ(check({fragment(4096, 13)}), PacketFault::packet_too_short);
  EXPECT_EQ(check({fragment(4096, 971), fragment(8192, 2048)}), PacketFault::packet_too_long);
}

TEST_F(CheckPacket, takes_checksum_requests_only_for_the_first_fragment_and_if_offered) {
  const ChecksumRequest tcp{.start_bytes = 34, .offset_bytes = 16};
  EXPECT_EQ(check({fragment(4096, 54)}, tcp), PacketFault::none);
  EXPECT_EQ(check({fragment(4096, 51), fragment(8192, 100)}, tcp), PacketFault::checksum_request);
  EXPECT_EQ(
      check({fragment(4096, 54)}, ChecksumRequest{.start_bytes = 65535, .offset_bytes = 65535}),
      PacketFault::checksum_request);
  capabilities.checksum_offload = false;
  EXPECT_EQ(check({fragment(4096, 54)}, tcp), PacketFault::checksum_request);
}

/// The same with a port that cuts packets.
class CheckSegmentation : public CheckPacket {
 protected:
  CheckSegmentation() {
    capabilities.mtu_bytes = 1500;
    capabilities.segmented_bytes_max = 9000;
    capabilities.segmented_fragments_max = 6;
    capabilities.max_fragment_bytes = 4096;
  }
  PacketFault cut(std::vector<Fragment> fragments) const {
    return check_packet(capabilities, memory,
                        {.fragments = fragments, .checksum = checksum, .segmentation = request});
  }

  const Fragment header = fragment(4096, 66);
  const Fragment page = fragment(8192, 4096);
  std::optional<ChecksumRequest> checksum{{.start_bytes = 34, .offset_bytes = 16}};
  SegmentationRequest request{.header_bytes = 66, .payload_bytes = 1448};
};

TEST_F(CheckSegmentation, passes_packets_up_to_every_limit) {
  EXPECT_EQ(cut({header, page}), PacketFault::none);
  EXPECT_EQ(cut({header, fragment(8192, 1449)}), PacketFault::none) << "two packets";
  const Fragment rest = fragment(8192, 14 + 9000 - 66 - 2 * 4096);
  EXPECT_EQ(cut({header, page, page, rest}), PacketFault::none);
  const Fragment some = fragment(8192, 1000);
  EXPECT_EQ(cut({header, some, some, some, some, some}), PacketFault::none);
  EXPECT_EQ(cut({fragment(4096, 3000)}), PacketFault::none) << "payload behind the header";
  request.payload_bytes = SegmentationRequest::payload_bytes_min;
  EXPECT_EQ(cut({header, page}), PacketFault::none);
}

TEST_F(CheckSegmentation, has_limits_of_its_own) {
  const Fragment longer = fragment(8192, 18 + 9000 - 66 - 2 * 4096 + 1);
  EXPECT_EQ(cut({header, page, page, longer}), PacketFault::packet_too_long);
  const Fragment some = fragment(8192, 1000);
  EXPECT_EQ(cut({header, some, some, some, some, some, some}), PacketFault::too_many_fragments);
  EXPECT_EQ(cut({header, page, fragment(16 * page_bytes - 4000, 4096)}),
            PacketFault::outside_memory);
}

TEST_F(CheckSegmentation, is_refused_where_the_port_does_not_offer_it) {
  capabilities.segmented_bytes_max = capabilities.segmented_fragments_max = 0;
  EXPECT_EQ(cut({header, fragment(8192, 1449)}), PacketFault::segmentation_request);
  EXPECT_EQ(cut({}), PacketFault::no_fragments);
}

TEST_F(CheckSegmentation, goes_with_a_checksum_request_inside_the_headers) {
  checksum->start_bytes = 49;
  EXPECT_EQ(cut({fragment(4096, 100), page}), PacketFault::segmentation_request)
      << "the field ends behind the headers";
  checksum.reset();
  EXPECT_EQ(cut({header, page}), PacketFault::segmentation_request);
  checksum = {{.start_bytes = 34, .offset_bytes = 16}};
  capabilities.checksum_offload = false;
  EXPECT_EQ(cut({header, page}), PacketFault::checksum_request);
}

TEST_F(CheckSegmentation, repeats_whole_headers_out_of_the_first_fragment) {
  request.header_bytes = 67;
  EXPECT_EQ(cut({header, page}), PacketFault::segmentation_request);
  request.header_bytes = 53;
  EXPECT_EQ(cut({header, page}), PacketFault::segmentation_request);
}

TEST_F(CheckSegmentation, makes_packets_that_fit_the_mtu_are_several_and_not_tiny) {
  request.payload_bytes = 1453;
  EXPECT_EQ(cut({header, page}), PacketFault::segmentation_request) << "above the MTU";
  request.payload_bytes = 0;
  EXPECT_EQ(cut({header, page}), PacketFault::segmentation_request);
  request.payload_bytes = SegmentationRequest::payload_bytes_min - 1;
  EXPECT_EQ(cut({header, page}), PacketFault::segmentation_request);
  request.payload_bytes = 1448;
  EXPECT_EQ(cut({header, fragment(8192, 1448)}), PacketFault::segmentation_request)
      << "one packet is cut by nobody";
}

TEST(PacketFault, each_has_words_of_its_own) {
  std::vector<std::string> words;
  for (int i = 0; i <= static_cast<int>(PacketFault::segmentation_request); ++i)
    words.emplace_back(to_string(static_cast<PacketFault>(i)));
  std::ranges::sort(words);
  EXPECT_EQ(std::ranges::adjacent_find(words), words.end());
}

// DiscardPort.

constexpr std::string_view header = "an ethernet header";

class Discarding : public testing::Test {
 protected:
  std::unique_ptr<DiscardPort> open(DiscardConfig config) {
    auto port = DiscardPort::create(config, buffer.memory());
    EXPECT_TRUE(port) << port.error().message();
    return std::move(*port);
  }
  std::size_t send(Queue& queue, std::uint32_t cookie) {
    const Fragment part = buffer.put(buffer.first_free(), 0, header);
    const TxPacket packet{.fragments = {&part, 1}, .cookie = cookie};
    return queue.transmit(std::span(&packet, 1));
  }

  DmaBuffer buffer{16, 4};
  std::array<TxCompletion, 8> completions{};
  std::array<RxPacket, 8> received{};
};

TEST_F(Discarding, completes_every_packet_at_the_next_reap_and_fills_up_before) {
  const auto port = open({.tx_ring_packets = 2});
  Queue& queue = port->queue(0);
  EXPECT_EQ(send(queue, 7), 1U);
  EXPECT_EQ(send(queue, 8), 1U);
  EXPECT_EQ(send(queue, 9), 0U);
  EXPECT_FALSE(queue.arm_wait());
  EXPECT_EQ(queue.kick(), 0);
  ASSERT_EQ(queue.reap(completions), 2U);
  EXPECT_EQ(completions[0].cookie, 7U);
  EXPECT_EQ(completions[1].cookie, 8U);
  EXPECT_EQ(completions[1].status, TxStatus::sent);
  EXPECT_TRUE(queue.arm_wait());
  EXPECT_EQ(send(queue, 9), 1U);

  queue.stop();
  ASSERT_EQ(queue.reap(completions), 1U);
  EXPECT_EQ(completions[0].cookie, 9U);
  EXPECT_EQ(completions[0].status, TxStatus::dropped);
  EXPECT_EQ(queue.reap(completions), 0U);
  EXPECT_EQ(queue.counters().tx_packets, 3U);
  EXPECT_EQ(queue.counters().tx_bytes, 3 * header.size());
  EXPECT_EQ(queue.counters().tx_completions, 3U);
  EXPECT_EQ(queue.counters().tx_dropped, 1U);
}

TEST_F(Discarding, receives_what_is_injected_and_nothing_else) {
  const auto port = open({});
  Queue& queue = port->queue(0);
  EXPECT_EQ(queue.receive(received), 0U);
  const auto frame = std::as_bytes(std::span(header));
  for (int i = 0; i < 4; ++i)
    EXPECT_TRUE(port->inject(frame));
  EXPECT_FALSE(port->inject(frame)) << "four receive frames";
  EXPECT_FALSE(queue.arm_wait());
  ASSERT_EQ(queue.receive(received), 4U);
  EXPECT_TRUE(std::ranges::equal(received[3].bytes, frame));
  EXPECT_EQ(received[3].checksum, RxChecksum::good);
  EXPECT_FALSE(port->inject(frame)) << "still lent";
  queue.release_received();
  EXPECT_TRUE(port->inject(frame));
  EXPECT_EQ(queue.counters().rx_packets, 4U);
  EXPECT_EQ(queue.counters().rx_dropped, 2U);
}

TEST_F(Discarding, shows_what_was_transmitted_to_an_observer_that_may_answer) {
  class Echo final : public TransmitObserver {
   public:
    void transmitted(std::span<const TxPacket> packets) override {
      for (const TxPacket& packet : packets) {
        std::array<std::byte, 64> frame;
        const std::uint32_t length = gather(memory, packet.fragments, frame);
        EXPECT_TRUE(port->inject(std::span(frame).first(length)));
      }
    }
    DmaMemory memory;
    DiscardPort* port = nullptr;
  } echo;
  const auto port = open({.observers = {&echo}});
  echo.memory = buffer.memory();
  echo.port = port.get();
  EXPECT_EQ(send(port->queue(0), 1), 1U);
  ASSERT_EQ(port->queue(0).receive(received), 1U);
  EXPECT_TRUE(std::ranges::equal(received[0].bytes, std::as_bytes(std::span(header))));
}

TEST_F(Discarding, offers_segmentation_only_together_with_checksums) {
  const auto port = open({.segmented_bytes_max = 65535});
  EXPECT_EQ(port->capabilities().segmented_bytes_max, 65535U);
  EXPECT_EQ(port->capabilities().segmented_fragments_max, 18U);
  EXPECT_EQ(open({})->capabilities().segmented_fragments_max, 0U);
  EXPECT_FALSE(DiscardPort::create({.checksum_offload = false, .segmented_bytes_max = 65535},
                                   buffer.memory()));
}

TEST_F(Discarding, has_queues_that_share_nothing) {
  const auto port = open({.queues = 2});
  ASSERT_EQ(port->queue_count(), 2U);
  EXPECT_EQ(send(port->queue(0), 1), 1U);
  EXPECT_EQ(port->queue(0).counters().tx_packets, 1U);
  EXPECT_EQ(port->queue(1).counters().tx_packets, 0U);
  EXPECT_EQ(port->queue(1).reap(completions), 0U);
  const std::array<std::byte, 20> frame{};
  EXPECT_TRUE(port->inject(frame, 1));
  EXPECT_TRUE(port->inject(frame, 1));
  EXPECT_FALSE(port->inject(frame, 1)) << "half of the four receive frames are the other queue's";
  EXPECT_TRUE(port->inject(frame, 0));
  EXPECT_EQ(port->queue(0).receive(received), 1U);
  EXPECT_EQ(port->queue(1).receive(received), 2U);
  port->queue(0).stop();
  EXPECT_EQ(send(port->queue(1), 1), 1U) << "the other one goes on";
}

TEST_F(Discarding, refuses_memory_it_cannot_receive_into) {
  DmaMemory memory = buffer.memory();
  memory.receive_end = FrameIndex{17};
  const auto port = DiscardPort::create({}, memory);
  ASSERT_FALSE(port);
  EXPECT_NE(port.error().message().find("receive frames"), std::string::npos);
}

// open_port.

std::string refusal_of(const OpenPortOptions& options) {
  const auto port = open_port(options);
  return port ? "opened" : port.error().message();
}

TEST(Netlink, sockets_are_no_programs_that_this_one_starts) {
  const af_xdp::NetlinkSocket socket = af_xdp::open_netlink(NETLINK_ROUTE);
  ASSERT_TRUE(socket);
  const int flags = ::fcntl(mnl_socket_get_fd(socket.get()), F_GETFD);
  ASSERT_NE(flags, -1);
  EXPECT_NE(flags & FD_CLOEXEC, 0);
}

TEST(OpenPort, says_what_a_specification_lacks) {
  EXPECT_NE(refusal_of({.spec = "eth0"}).find("is not KIND:DEVICE; for example af_xdp:eth0"),
            std::string::npos);
  EXPECT_NE(refusal_of({.spec = "netmap:eth0"})
                .find("known are af_xdp:INTERFACE, dpdk:PORT and discard:"),
            std::string::npos);
  EXPECT_NE(refusal_of({.spec = "discard:", .arguments = {"--no-huge"}}).find("takes none"),
            std::string::npos);
  EXPECT_NE(refusal_of({.spec = "discard:", .mtu_bytes = 9000}).find("ip link set mtu"),
            std::string::npos);
}

#if !STRICTSEND_HAVE_DPDK
TEST(OpenPort, a_build_without_dpdk_says_how_to_get_it) {
  EXPECT_NE(refusal_of({.spec = "dpdk:net_tap0"})
                .find("this build has no DPDK: install libdpdk-dev and build with -Ddpdk=enabled"),
            std::string::npos);
}
#endif

}  // namespace
}  // namespace strictsend::nic
