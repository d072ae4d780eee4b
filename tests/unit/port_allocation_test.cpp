// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <new>
#include <vector>

#include <gtest/gtest.h>

#include "nic/discard/discard_port.hpp"
#include "nic/pcap/pcap_port.hpp"
#include "nic/sim/sim_port.hpp"
#include "nic/wire/header_template.hpp"
#include "nic/wire/tcp_packet.hpp"
#include "tests/support/allocation_count.hpp"
#include "tests/support/dma_buffer.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend {
namespace {

using test::allocation_count;

const wire::TcpHeaderTemplate headers({.source = {10, 0, 0, 1}, .destination = {10, 0, 0, 2}});

/// Header and payload out, whatever comes back in, completions reaped: what an engine does in a
/// poll. `between` plays the world outside.
template <class Between>
void poll(nic::Queue& queue, test::DmaBuffer& buffer, std::uint32_t cookie, Between between) {
  const nic::Fragment header{.offset = offset_of(buffer.first_free()), .length_bytes = 54};
  const std::array<nic::Fragment, 2> fragments{
      header,
      nic::Fragment{.offset = offset_of(buffer.first_free().plus(1)), .length_bytes = 1400}};
  headers.emit(buffer.at(header), {.payload_bytes = 1400}, 0);
  const nic::TxPacket packet{.fragments = fragments, .cookie = cookie};
  ASSERT_EQ(queue.transmit(std::span(&packet, 1)), 1U);
  ASSERT_EQ(queue.kick(), 0);
  between();
  std::array<nic::RxPacket, 8> received;
  const std::size_t count = queue.receive(received);
  for (const nic::RxPacket& each : std::span(received).first(count))
    ASSERT_TRUE(wire::parse_tcp_packet(each));
  queue.release_received();
  std::array<nic::TxCompletion, 8> completions;
  ASSERT_EQ(queue.reap(completions), 1U);
}

/// An empty segment, for the port to receive.
std::vector<std::byte> answer() {
  std::vector<std::byte> frame(wire::tcp_frame_header_bytes_max);
  frame.resize(headers.emit(frame, {.flags = {.ack = true}}, 0));
  return frame;
}

TEST(Allocation, is_counted) {
  const std::uint64_t before = allocation_count();
  // A call, not a new-expression, which a compiler may leave out together with its delete.
  ::operator delete(::operator new(1));
  EXPECT_EQ(allocation_count(), before + 1);
}

TEST(Allocation, a_simulated_port_makes_none_after_it_was_opened) {
  test::DmaBuffer buffer(16);
  auto port = nic::SimPort::create({.filter_flows = false,
                                    .to_peer = {.loss_ppm = 100'000,
                                                .duplicate_ppm = 100'000,
                                                .corrupt_ppm = 100'000,
                                                .reorder_ppm = 100'000}},
                                   buffer.memory());
  ASSERT_TRUE(port);
  const auto frame = answer();
  const std::uint64_t before = allocation_count();
  for (std::uint32_t cookie = 0; cookie < 500; ++cookie) {
    poll((*port)->queue(0), buffer, cookie, [&] {
      (*port)->peer().inject(frame);
      (*port)->advance_to((*port)->now() + milliseconds(1));
      while ((*port)->peer().receive()) {
      }
    });
  }
  (*port)->queue(0).stop();
  EXPECT_EQ(allocation_count(), before);
  EXPECT_EQ((*port)->queue(0).counters().rx_packets, 500U);
}

TEST(Allocation, a_recorded_discarding_port_makes_none_after_it_was_opened) {
  const test::TempDir directory;
  test::DmaBuffer buffer(16);
  auto discard = nic::DiscardPort::create({}, buffer.memory());
  ASSERT_TRUE(discard);
  nic::DiscardPort& world = **discard;
  auto port = nic::PcapPort::create(std::move(*discard), buffer.memory(),
                                    directory.path("none.pcap"), [] { return Time{}; });
  ASSERT_TRUE(port) << port.error().message();
  const auto frame = answer();
  const std::uint64_t before = allocation_count();
  for (std::uint32_t cookie = 0; cookie < 2000; ++cookie)
    poll((*port)->queue(0), buffer, cookie, [&] { ASSERT_TRUE(world.inject(frame)); });
  (*port)->queue(0).stop();
  EXPECT_EQ(allocation_count(), before);
  EXPECT_EQ((*port)->recorded(0), 4000U);
}

}  // namespace
}  // namespace strictsend
